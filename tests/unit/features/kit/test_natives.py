"""A native Python on the machine where a kit is used: found, or opened by uv."""

import json
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyodide_offline.errors import StorageError, ToolchainError
from pyodide_offline.features.kit import natives
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits.manifest import Item
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import uv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
HERE = plans.target(sys.platform, platform.machine())
UV = Path("/nowhere/uv")


def python(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def alone(session, tmp_path):
    """A machine with nothing on its PATH but what a test puts there."""
    return replace(session, environ={**session.environ, "PATH": str(tmp_path / "bin")})


@pytest.fixture
def asked(alone, monkeypatch):
    """What uv is told to open: the words and the list of each call."""
    calls = []

    def run(program, words, *, environ, cwd, doing):
        listed = json.loads(Path(environ["UV_PYTHON_DOWNLOADS_JSON_URL"]).read_text())
        for one in listed.values():
            one["content"] = Path(urlsplit(one["url"]).path).read_text()
        calls.append(([str(one) for one in words], listed, environ))
        shown = next(iter(listed))
        python(Path(words[-1]) / shown / "bin" / "python3.14", "3.14")

    monkeypatch.setattr(uv, "run", run)
    return calls


def item(version="3.14.10", target=HERE, kind=natives.KIND) -> Item:
    return Item(kind, "cpython", version, "x.tar.gz", 1, "ab" * 32, None, None, (target,))


def place(session, *items: Item, series="3.14") -> None:
    blob = session.store.root.parent / "blob of it"
    blob.write_text("of the kit")
    at = {one.sha256: blob for one in items}
    natives.place(session, UV, items, at, series)


def pythons(session: Session) -> Path:
    return session.store.root / "v1" / "uv-python"


def test_uv_opens_it_from_a_list_with_the_kits_digest(alone, asked):
    place(alone, item())
    ((words, listed, environ),) = asked
    assert words == ["python", "install", "--no-bin", "cpython-3.14.10", "--install-dir",
                     str(pythons(alone))]  # fmt: skip
    ((name, entry),) = listed.items()
    assert name.startswith("cpython-3.14.10-")
    assert entry["sha256"] == "ab" * 32
    assert entry["url"].endswith("/x.tar.gz")
    assert entry["content"] == "of the kit"
    assert (entry["major"], entry["minor"], entry["patch"]) == (3, 14, 10)
    assert environ["UV_PYTHON_DOWNLOADS"] == "manual"
    assert natives.find(alone, "3.14") == pythons(alone) / name / "bin" / "python3.14"


def test_it_is_opened_once(alone, asked):
    place(alone, item())
    place(alone, item())
    assert len(asked) == 1


def test_a_machine_that_has_one_keeps_to_it(alone, asked, tmp_path):
    own = python(tmp_path / "bin" / "python3.14", "3.14")
    place(alone, item())
    assert asked == []
    assert natives.find(alone, "3.14") == own


@pytest.mark.parametrize(
    "other",
    [
        item("3.13.9"),
        item("3.14"),
        item("3.14.x"),
        item(target="plan9-mips"),
        item(kind="wheel"),
    ],
    ids=["series", "short", "no version", "target", "kind"],
)
def test_what_does_not_fit_is_left(alone, asked, other):
    place(alone, other)
    assert asked == []


def test_that_uv_refuses_it_is_noted_and_no_more(alone, progress, monkeypatch):
    def refuses(*_, **__):
        raise ToolchainError("uv cannot open Python 3.14.10.", why="Hash mismatch.")

    monkeypatch.setattr(uv, "run", refuses)
    place(alone, item())
    assert progress.notes == ["uv cannot open Python 3.14.10. Hash mismatch."]
    assert natives.find(alone, "3.14") is None


def test_a_full_disk_is_an_error(alone, monkeypatch):
    def full(*_, **__):
        raise StorageError("A disk is full.")

    monkeypatch.setattr(uv, "run", full)
    with pytest.raises(StorageError):
        place(alone, item())


def test_one_on_the_path_that_is_of_another_series_is_passed_over(alone, tmp_path):
    python(tmp_path / "bin" / "python3.14", "3.9")
    assert natives.find(alone, "3.14") is None
    managed = python(pythons(alone) / "cpython-3.14.2-x" / "bin" / "python3.14", "3.14")
    assert natives.find(alone, "3.14") == managed
    shutil.rmtree(managed.parents[1])
    assert natives.find(alone, "3.14") is None
