"""The hosts file on disk: given back whatever happens."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline.errors import StorageError
from pyodide_offline.network import hosts
from pyodide_offline.network.hostlines import Owner

USUAL = b"127.0.0.1 localhost\n# caf\xe9 without an end"

# Puts a line in, says so, and waits to be ended.
HOLDER = """
import signal, sys
from pathlib import Path
from pyodide_offline.network import hosts
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
with hosts.lines(Path(sys.argv[1]), [sys.argv[2]], "127.0.0.1", print):
    print("held", flush=True)
    sys.stdin.read()
"""
GONE = Owner(2**22 + 5, 1)  # beyond the largest pid of Linux


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "etc" / "hosts"
    path.parent.mkdir()
    path.write_bytes(USUAL)
    path.chmod(0o640)
    return path


def holder(file: Path, name: str, *before: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [*before, sys.executable, "-c", HOLDER, str(file), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    return child


def end(child: "subprocess.Popen[str]", number: int | None = None) -> None:
    with child:
        if number is not None:
            child.send_signal(number)
        elif child.stdin:
            child.stdin.close()
        child.wait(20)


def listed(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def test_lines_are_there_and_given_back_with_mode_and_nothing_beside(file):
    said: list[str] = []
    with hosts.lines(file, ["a.example", "b.example"], "127.0.0.1", said.append):
        held = file.read_bytes()
        assert held.endswith(USUAL)
        assert [line.split()[1] for line in held.splitlines()[:2]] == [b"a.example", b"b.example"]
        assert f"pid={os.getpid()} ".encode() in held
        assert file.stat().st_mode & 0o777 == 0o640
        assert (file.parent / "hosts.pyodide-offline.bak").read_bytes() == USUAL
    assert file.read_bytes() == USUAL
    assert file.stat().st_mode & 0o777 == 0o640
    assert listed(file) == ["hosts"]
    assert said == []


def test_what_others_write_meanwhile_stays(file):
    with hosts.lines(file, ["a.example"], "127.0.0.1", print):
        file.write_bytes(file.read_bytes() + b"\n10.0.0.1 new\n")
    assert file.read_bytes() == USUAL + b"\n10.0.0.1 new\n"
    assert listed(file) == ["hosts", "hosts.pyodide-offline.bak"]


def test_it_is_given_back_after_an_error(file):
    with pytest.raises(ZeroDivisionError), hosts.lines(file, ["a.example"], "127.0.0.1", print):
        raise ZeroDivisionError
    assert file.read_bytes() == USUAL


def test_a_killed_one_is_cleaned_up_by_the_next(file):
    end(holder(file, "killed.example"), signal.SIGKILL)
    assert b"killed.example" in file.read_bytes()
    assert len(hosts.left_behind(file)) == 1
    with hosts.lines(file, ["a.example"], "127.0.0.1", print):
        assert b"killed.example" not in file.read_bytes()
        assert hosts.left_behind(file) == []
    assert file.read_bytes() == USUAL
    assert listed(file) == ["hosts"]


def test_a_terminated_one_gives_it_back(file):
    child = holder(file, "a.example")
    end(child, signal.SIGTERM)
    assert child.returncode == 3
    assert file.read_bytes() == USUAL


def test_two_at_once_keep_their_own_lines(file):
    first, second = holder(file, "first.example"), holder(file, "second.example")
    end(first)
    held = file.read_bytes()
    assert b"first.example" not in held
    assert b"second.example" in held
    end(second)
    assert file.read_bytes() == USUAL
    assert listed(file) == ["hosts"]


def test_a_link_is_followed_and_stays_a_link(file, tmp_path):
    link = tmp_path / "hosts"
    link.symlink_to(file)
    with hosts.lines(link, ["a.example"], "127.0.0.1", print):
        assert b"a.example" in file.read_bytes()
        assert link.is_symlink()
    assert file.read_bytes() == USUAL


def test_a_line_of_somebody_else_for_the_name_is_told(file):
    file.write_bytes(b"10.0.0.1 a.example\n")
    said: list[str] = []
    with hosts.lines(file, ["a.example"], "127.0.0.1", said.append):
        assert ["10.0.0.1 a.example" in one for one in said] == [True]


def test_a_file_that_may_not_be_written_is_an_error_that_says_how(file):
    file.chmod(0o444)
    if os.access(file, os.W_OK):
        pytest.skip("this user may write everything")
    with (
        pytest.raises(StorageError, match="Permission denied") as caught,
        hosts.lines(file, ["a.example"], "127.0.0.1", print),
    ):
        pass
    assert "sudo" in caught.value.next_step
    assert "127.0.0.1 a.example" in caught.value.next_step
    assert file.read_bytes() == USUAL
    assert hosts.BACKUP_SUFFIX not in "".join(listed(file))


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with (
        pytest.raises(StorageError, match="No such file"),
        hosts.lines(tmp_path / "none", ["a.example"], "127.0.0.1", print),
    ):
        pass


def test_a_folder_that_may_not_be_written_has_the_file_written_in_place(file):
    file.parent.chmod(0o555)
    try:
        if os.access(file.parent, os.W_OK):
            pytest.skip("this user may write everything")
        said: list[str] = []
        with hosts.lines(file, ["a.example"], "127.0.0.1", said.append):
            assert b"a.example" in file.read_bytes()
        assert file.read_bytes() == USUAL
        assert any("in place" in one for one in said)
    finally:
        file.parent.chmod(0o755)


def test_a_bind_mounted_file_is_written_in_place_and_that_is_said(file, tmp_path):
    inside = tmp_path / "inside"
    inside.write_bytes(b"")
    unshare = [shutil.which("unshare") or "unshare", "-Urm"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace here")
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    program = [sys.executable, "-c", HOLDER, str(inside), "a.example"]
    done = subprocess.run(
        [*unshare, "sh", "-ec", script, "sh", str(file), str(inside), *program],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be replaced (Device or resource busy): it is written in place." in done.stdout
    assert file.read_bytes() == USUAL
    assert inside.read_bytes() == b""


def test_who_lives_is_known_by_its_beginning_too():
    me = hosts.myself()
    assert hosts.alive(me)
    assert not hosts.alive(GONE)
    assert hosts.alive(Owner(os.getppid(), 0))
    if me.began:
        assert not hosts.alive(Owner(os.getppid(), 1))


def test_the_variable_names_the_file():
    assert hosts.path({hosts.VARIABLE: "/x/y"}) == Path("/x/y")
    assert hosts.path({}).name == "hosts"


def test_nothing_is_left_behind_in_a_file_that_is_not_there(tmp_path):
    assert hosts.left_behind(tmp_path / "none") == []


def test_what_is_left_behind_is_taken_out_and_put_back(file):
    line = f"127.0.0.1\ta.test\t{GONE.mark}"
    before = f"{line}\n".encode() + USUAL
    file.write_bytes(before)
    taken = hosts.take_out(file, print)
    assert (taken, file.read_bytes()) == ([line], USUAL)
    hosts.put_back(file, taken, print)
    assert file.read_bytes() == before
