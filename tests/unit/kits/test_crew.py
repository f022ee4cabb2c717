"""Helpers that install side by side: what they wrote, what they tell, and their end."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import crew as crews
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.installing import WHEEL, Clash, Job
from tests.peers import wheels
from tests.unit.kits import racks


def job(path: Path, target: Path) -> Job:
    return Job(str(path), racks.item(path).sha256, WHEEL, str(target))


def test_all_jobs_are_done_and_their_digests_known(tmp_path):
    made = [wheels.wheel(tmp_path, f"one{number}") for number in range(5)]
    with Crew(2) as crew:
        crew.install([job(path, tmp_path / "site") for path in made])
        for number in range(5):
            file = tmp_path / "site" / f"one{number}.py"
            assert crew.known(file) == racks.item(file).sha256
        (tmp_path / "site" / "one0.py").write_text("changed since")
        assert crew.known(tmp_path / "site" / "one0.py") is None
        moved = (tmp_path / "site" / "one1.py").rename(tmp_path / "moved")
        assert crew.known(moved) == racks.item(moved).sha256


def test_what_fails_is_told_by_its_kind(tmp_path):
    path = wheels.wheel(tmp_path, "one")
    good = job(path, tmp_path / "site")
    (tmp_path / "file").touch()
    with Crew(1) as crew:
        with pytest.raises(IntegrityError, match="damaged") as caught:
            crew.install([Job(str(path), "0" * 64, WHEEL, str(tmp_path / "x"))])
        assert caught.value.next_step
        with pytest.raises(NotADirectoryError):
            crew.install([job(path, tmp_path / "file" / "below")])
        crew.install([good])
        with pytest.raises(Clash):
            crew.install([good])


def test_a_helper_that_is_killed_is_an_error_and_the_next_job_gets_another(tmp_path):
    path = wheels.wheel(tmp_path, "one")
    with Crew(1) as crew:
        crew.install([job(path, tmp_path / "a")])
        (helper,) = crew._helpers
        helper.kill()
        helper.wait()
        with pytest.raises(InterruptedError):
            crew.install([job(path, tmp_path / "b")])
        crew.install([job(path, tmp_path / "c")])
    assert all(one.returncode is not None for one in crew._helpers)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_helpers_end_with_their_maker_however_it_ends(tmp_path):
    path = wheels.wheel(tmp_path, "one")
    text = (
        "import sys, time\n"
        "from pyodide_offline.kits.crew import Crew\n"
        "from pyodide_offline.kits.installing import Job\n"
        "crew = Crew(1)\n"
        "crew.install([Job(*sys.argv[1:5])])\n"
        "print(crew._helpers[0].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    wanted = job(path, tmp_path / "site")
    words = [wanted.archive, wanted.sha256, wanted.form, wanted.target]
    with subprocess.Popen([sys.executable, "-c", text, *words], stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        helper = int(maker.stdout.readline())
        maker.kill()
    deadline = time.monotonic() + 20
    while _alive(helper) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(helper)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_a_helper_answers_line_by_line(tmp_path, monkeypatch, capsys):
    path = wheels.wheel(tmp_path, "one")
    lines = [json.dumps(asdict(job(path, tmp_path / name))) for name in ("a", "a", "b")]
    monkeypatch.setattr(sys, "stdin", iter(lines))
    crews.work()
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(answer) for answer in answers] == [["written"], ["clash"], ["written"]]
