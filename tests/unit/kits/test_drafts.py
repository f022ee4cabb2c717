"""Drafts: one at a time, whole or not at all, and nothing piles up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_offline.kits import drafts
from pyodide_offline.kits.drafts import draft


def test_a_draft_has_its_name_when_it_is_published_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "a b" / "my.kit"
    with draft(target) as found:
        found.write(b"content")
        found.finish()
        assert not target.exists()
        found.publish()
    assert target.read_bytes() == b"content"
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_draft_that_is_given_up_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "to" / "my.kit"
    target.parent.mkdir()
    target.write_bytes(b"old")

    def interrupted() -> None:
        with draft(target) as found:
            found.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "to" / "my.kit"
    target.parent.mkdir()
    drafts.unfinished(target).write_bytes(b"left behind, and longer")
    with draft(target) as found:
        found.write(b"new")
        found.finish()
        found.publish()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


WRITER = """
import sys
from pathlib import Path
from pyodide_offline.kits.drafts import draft

with draft(Path(sys.argv[1])) as found:
    print("begun", flush=True)
    found.write(sys.argv[2].encode())
    sys.stdin.read()
    found.finish()
    found.publish()
print("ended", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    target = tmp_path / "to" / "my.kit"

    def start(text: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", WRITER, str(target), text]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)

    def line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout
        return process.stdout.readline()

    with start("first") as first:
        assert line(first) == "begun\n"
        with start("second") as second:
            assert second.stdin
            second.stdin.close()
            assert not target.exists()
            assert first.stdin
            first.stdin.close()
            assert line(first) == "ended\n"
            assert line(second) == "begun\n"
            assert line(second) == "ended\n"
    assert target.read_bytes() == b"second"
    assert list(target.parent.iterdir()) == [target]
