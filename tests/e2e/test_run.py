"""`pyodide-offline run`: signals and status are its command's, and nothing stays behind."""

import html
import json
import re
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.netns import run_counted
from tests.peers.wrangler import started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PYWRANGLER = [PROGRAM, "run", "--", "pywrangler", "dev"]


def test_the_counter_goes_on_after_ctrl_c_and_nothing_is_left(
    machine: Machine, prefetched: Path, tmp_path: Path
) -> None:
    command = [*PYWRANGLER, "--persist-to", str(tmp_path / "state")]
    values = []
    for number in (signal.SIGINT, signal.SIGTERM):
        log = tmp_path / f"{number.name}.log"
        with started(command, prefetched, env=machine.env, log=log, timeout=600) as server:
            assert len(server.processes()) >= 3, "run, wrangler and workerd carry the mark"
            values += [int(server.get("/counter")), int(server.get("/counter"))]
            answer = server.post("/form", name="<b>Ada & Grace</b>")
            assert html.escape("<b>Ada & Grace</b>") in answer
            server.stop(number)
    assert values == [1, 2, 3, 4]


def test_run_says_which_bundle_and_python(
    machine: Machine, prefetched: Path, tmp_path: Path
) -> None:
    with started(
        PYWRANGLER, prefetched, env=machine.env, log=tmp_path / "log", timeout=600
    ) as server:
        assert server.get("/version").startswith("3.14.")
        assert re.search(r"314\.0\.\d.*3\.14|3\.14.*314\.0\.\d", server.log), server.log


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)],
)
def test_the_status_is_the_commands(
    machine: Machine, prefetched: Path, script: str, status: int
) -> None:
    done = machine.call(prefetched, "run", "--", "sh", "-c", script)
    assert done.returncode == status, done.stderr


@pytest.mark.usefixtures("counting_network")
def test_a_second_prefetch_sends_nothing(machine: Machine, prefetched: Path) -> None:
    again = run_counted([PROGRAM, "prefetch"], env=machine.env, cwd=prefetched, timeout=60)
    assert (again.status, again.packets) == (0, 0), again.output


@pytest.mark.parametrize("linked", [False, True], ids=["in the folder", "in the store too"])
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, None], ids=["empty", "zeros", "cut short"])
def test_a_spoiled_bundle_is_healed(
    machine: Machine, prefetched: Path, content: bytes | None, linked: bool
) -> None:
    told = json.loads(machine.call(prefetched, "prefetch", "--json").stdout)
    (bundle,) = Path(told["cache_dir"]).glob("*.capnp.bin")
    good = bundle.read_bytes()
    if not linked:
        # A new file, as a broken download would leave it: the store's own stays whole.
        bundle.unlink()
        bundle.touch()
    # What is written into the file that is there reaches the store's by its hard link.
    bundle.chmod(0o600)
    bundle.write_bytes(good[: len(good) // 2] if content is None else content)
    done = machine.call(prefetched, "prefetch")
    assert done.returncode == 0, done.stderr
    assert bundle.read_bytes() == good
    assert machine.call(prefetched, "cache", "verify").returncode == 0
