"""Snapshots made in the background, beside the user's workerd."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.errors import WorkerdError
from pyodide_offline.workers import snapshot, snapshot_maker
from pyodide_offline.workers.config import Code
from pyodide_offline.workers.snapshot import Recipe
from pyodide_offline.workers.snapshot_maker import Job, Maker
from tests.peers import miniflare, program

CODE = Code("2026-11-17", ("python_workers",), (("entry.py", "pythonModule", b"x = 1"),))
# Writes a snapshot and listens, as workerd does; says how it was called.
PROGRAM = """\
import json, os, sys, time
from pathlib import Path
said = json.loads({said!r})
arguments = sys.argv[1:]
message = sys.stdin.buffer.read()
with open({log!r}, "a") as log:
    log.write(json.dumps(arguments) + "\\n")
Path({log!r}).with_suffix(".group").write_text(str(os.getpgrp()))
folder = Path(next(a.split("=", 1)[1] for a in arguments if "snapshot-dir" in a))
if "--python-save-snapshot" in arguments:
    text = json.dumps({{"settings": {{"snapshotType": said["type"]}}}}).encode()
    head = bytes(8) + len(text).to_bytes(4, "little")
    (folder / "snapshot.bin").write_bytes(said["magic"].encode() + head + text + message)
    if said["fails"] == "making":
        sys.exit(1)
elif said["fails"] == "loading":
    sys.exit(1)
if said["fails"] != "silent":
    print(json.dumps({{"event": "listen", "socket": "http", "port": 1}}, separators=(",", ":")))
sys.stdout.flush()
time.sleep(60)
"""


@pytest.fixture
def job(tmp_path):
    """Return a job for a workerd that behaves as told."""

    log = tmp_path / "log"

    def make(tier="own", key="key", **said):
        said = {"type": "dedicated", "magic": "\0snp", "fails": "", **said}
        binary = tmp_path / "workerd"
        program.write(binary, PROGRAM.format(said=json.dumps(said), log=str(log)))
        return Job(binary, miniflare.SCHEMA, tmp_path, Recipe(tier, key, CODE))

    return make


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def maker(session):
    """A maker that is stopped whatever happens: its thread would keep pytest from ending."""
    made = Maker(session)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(snapshot_maker, "STILL", 0.0)


def never():
    return threading.Event()


def calls(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_it_is_saved_then_loaded_once_then_kept(session, job, log):
    entry = snapshot_maker.make(session, job(), never())
    saved, loaded = calls(log)
    assert "--python-save-snapshot" in saved
    assert "--python-load-snapshot=snapshot.bin" in loaded
    assert entry.path.read_bytes().startswith(b"\0snp")
    assert entry.provenance == {"source": "workerd", "tier": "own", "type": "dedicated"}
    assert session.store.find(snapshot.KIND, "key") == entry


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
def test_a_terminals_ctrl_c_does_not_reach_what_is_being_made(session, job, log):
    # It would look like code of which no snapshot can be made.
    snapshot_maker.make(session, job(), never())
    assert int(log.with_suffix(".group").read_text()) != os.getpgrp()


@pytest.mark.parametrize("fails", ["making", "loading"])
def test_one_that_does_not_answer_is_thrown_away(session, job, log, fails):
    with pytest.raises(WorkerdError, match="ended before it answered"):
        snapshot_maker.make(session, job(fails=fails), never())
    assert session.store.entries() == []


def test_what_is_no_snapshot_is_thrown_away(session, job, log):
    with pytest.raises(WorkerdError, match="no snapshot that can be used"):
        snapshot_maker.make(session, job(magic="else"), never())


def test_a_baseline_is_no_own_one_but_a_neutral_one(session, job, log):
    with pytest.raises(WorkerdError):
        snapshot_maker.make(session, job(type="baseline"), never())
    assert snapshot_maker.make(session, job("neutral", type="baseline"), never()).size > 0


def test_a_workerd_that_stays_silent_is_ended(session, job, log, monkeypatch):
    monkeypatch.setattr(snapshot_maker, "_MAKING", 0.5)
    with pytest.raises(TimeoutError, match="did not answer in 0 s"):
        snapshot_maker.make(session, job(fails="silent"), never())


def test_the_maker_makes_all_that_is_wanted(session, job, log, maker):
    maker.want([job(key="one"), job(key="two")])
    wait_for(lambda: len(session.store.entries()) == 2)


def test_a_new_wish_replaces_the_one_that_waits(session, job, log, maker, monkeypatch):
    monkeypatch.setattr(snapshot_maker, "STILL", 0.3)
    maker.want([job(key="old")])
    maker.want([job(key="new")])
    wait_for(lambda: session.store.entries())
    assert [one.name for one in session.store.entries()] == ["new"]


def test_stopping_ends_what_is_being_made(session, job, log, maker):
    others = set(process._children())  # of tests before
    maker.want([job(fails="silent")])
    wait_for(log.exists)
    maker.stop()
    assert set(process._children()) <= others
    assert session.store.entries() == []
    assert snapshot_maker.wanted(session, job())


def test_what_cannot_be_made_is_not_tried_again(session, job, log, maker):
    failing = job(fails="making")
    maker.want([failing])
    wait_for(lambda: not snapshot_maker.wanted(session, failing))
    maker.stop()
    assert len(calls(log)) == 1


def test_what_took_too_long_is_tried_again_a_day_later(session, job, log, maker, monkeypatch):
    monkeypatch.setattr(snapshot_maker, "_MAKING", 0.5)
    slow = job(fails="silent")
    maker.want([slow])
    wait_for(lambda: not snapshot_maker.wanted(session, slow))
    maker.stop()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + snapshot_maker.PASSING + 60)
    assert snapshot_maker.wanted(session, slow)
    monkeypatch.setattr(time, "time", lambda: now - 3600)  # the clock was set back
    assert snapshot_maker.wanted(session, slow)


def test_a_refusal_stands_a_day_later_too(session, job, log, maker, monkeypatch):
    failing = job(fails="making")
    maker.want([failing])
    wait_for(lambda: not snapshot_maker.wanted(session, failing))
    later = time.time() + snapshot_maker.PASSING + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert not snapshot_maker.wanted(session, failing)


def test_what_is_there_is_not_wanted(session, job, log):
    assert snapshot_maker.wanted(session, job())
    snapshot_maker.make(session, job(), never())
    assert not snapshot_maker.wanted(session, job())


def test_too_many_are_dropped(session, job, log, monkeypatch):
    monkeypatch.setattr(snapshot, "KEPT", 1)
    snapshot_maker.make(session, job(key="one"), never())
    snapshot_maker.make(session, job(key="two"), never())
    assert [one.name for one in session.store.entries()] == ["two"]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_kill_9_of_us_ends_workerd_too(session, job, log, tmp_path):
    made = job(fails="silent")
    code = (
        "import threading\n"
        "from pathlib import Path\n"
        "from pyodide_offline.session import Session\n"
        "from pyodide_offline.store import Store\n"
        "from pyodide_offline.workers import config, snapshot_maker as m, snapshot\n"
        "code = config.Code('2026-11-17', (), ())\n"
        f"schema = Path({str(miniflare.SCHEMA)!r})\n"
        f"job = m.Job(Path({str(made.binary)!r}), schema, Path({str(tmp_path)!r}), "
        "snapshot.Recipe('own', 'key', code))\n"
        f"s = Session(Store(Path({str(tmp_path / 's')!r})), {{}}, Path('.'), Path('.'))\n"
        "m.make(s, job, threading.Event())\n"
    )

    child = subprocess.Popen([sys.executable, "-c", code])
    wait_for(log.exists)
    mine = [pid for pid, words in processes().items() if str(made.binary) in words]
    assert mine
    child.kill()
    child.wait()
    wait_for(lambda: not [pid for pid in mine if pid in processes()])


def processes() -> dict[int, str]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return {pid: text for pid, text in found.items() if text and pid != os.getpid()}


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
