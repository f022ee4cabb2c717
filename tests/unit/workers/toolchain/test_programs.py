import os
import shutil
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.errors import StorageError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import programs
from tests.unit.workers.toolchain.conftest import Program


def test_which_takes_the_given_path_only(session: Session, program: Program) -> None:
    made = program("thing", "true")
    assert programs.which("thing", session.environ) == made
    assert programs.which("thing", {}) is None
    assert programs.which("absent", session.environ) is None


def test_a_script_is_asked_each_time(session: Session, program: Program) -> None:
    thing = program("thing", "echo thing v1.2.3")
    assert programs.version(session, thing) == "1.2.3"
    program("thing", "echo 1.2.4")
    assert programs.version(session, thing) == "1.2.4"


def test_what_says_nothing_has_no_version(session: Session, program: Program) -> None:
    assert programs.version(session, program("mute", "true")) is None
    assert programs.version(session, program("broken", "echo 1.2.3; exit 3")) is None
    assert programs.version(session, Path("/absent/thing")) is None


def test_a_compiled_program_is_asked_once(
    session: Session, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shutil.which("env", path=os.environ["PATH"])
    assert source
    copy = bin_dir / "env-copy"
    shutil.copy(Path(source).resolve(), copy)
    first = _capture(monkeypatch, "env-copy 9.1.0")
    assert programs.version(session, copy) == "9.1.0"
    assert programs.version(session, copy) == "9.1.0"
    assert len(first) == 1
    os.utime(copy, ns=(1, 1))
    assert programs.version(session, copy) == "9.1.0"
    assert len(first) == 2


def test_a_stand_in_of_another_name_is_asked_each_time(
    session: Session, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = bin_dir / "manager"
    manager.write_bytes(b"\x7fELF")
    manager.chmod(0o755)
    (bin_dir / "node").symlink_to(manager)
    calls = _capture(monkeypatch, "v20.1.0")
    for _ in range(2):
        assert programs.version(session, bin_dir / "node") == "20.1.0"
    assert len(calls) == 2


def _capture(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[object]:

    calls: list[object] = []

    def capture(command: object, **_: object) -> process.Finished:
        calls.append(command)
        return process.Finished(0, answer, "")

    monkeypatch.setattr(process, "capture", capture)
    return calls


@pytest.mark.parametrize(
    "output", ["npm error code ENOSPC", "OSError: [Errno 28] No space left on device"]
)
def test_a_full_disk_is_told_apart(output: str) -> None:
    with pytest.raises(StorageError, match="/somewhere"):
        programs.refuse_full_disk(output, Path("/somewhere"))
    programs.refuse_full_disk("npm error code E404", Path("/somewhere"))


def test_a_script_is_written_once_and_never_changed(session: Session) -> None:
    made = programs.script(session, "a name", "#!/bin/sh\necho one\n")
    before = made.stat().st_mtime_ns
    assert programs.script(session, "a name", "#!/bin/sh\necho one\n") == made
    assert made.stat().st_mtime_ns == before
    other = programs.script(session, "a name", "#!/bin/sh\necho two\n")
    assert other != made
    assert process.capture([other]).stdout == "two\n"
    made.write_text("spoiled")
    programs.script(session, "a name", "#!/bin/sh\necho one\n")
    assert process.capture([made]).stdout == "one\n"
