"""Pure wheels of packages that do without their compiled part."""

import base64
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import fallback
from tests.unit.workers.toolchain.conftest import Program

# Installs a package with a compiled part where it is told to, named by its last argument.
UV = """
echo "uv $*" >>"$LOG"
while [ $# -gt 1 ]; do [ "$1" = --target ] && target=$2; shift; done
mkdir -p "$target/$1" "$target/$1-2.0.dist-info" "$target/bin"
cd "$target/$1"
for file in __init__.py _native.py _speedups.so _speedups.c; do echo "# $file" >$file; done
cd "../$1-2.0.dist-info"
for file in METADATA RECORD INSTALLER WHEEL; do echo "Name: $1" >$file; done
: >"$target/.lock"
"""


@pytest.fixture
def uv(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return program("uv", UV)


def test_wheels_are_made_once_and_named_to_uv(session: Session, uv: Path, tmp_path: Path) -> None:
    for _ in range(2):
        told = fallback.provide(session, uv, os.environ, "3.14")
        folder = Path(told["UV_FIND_LINKS"])
        assert sorted(path.name for path in folder.iterdir()) == [
            "markupsafe-2.0-py3-none-any.whl",
            "pyyaml-2.0-py3-none-any.whl",
        ]
    calls = (tmp_path / "log").read_text().splitlines()
    assert len(calls) == 2
    assert all("--no-deps --only-binary :all:" in call for call in calls)
    assert all("--python-version 3.14" in call for call in calls)


def test_links_of_the_user_stay(session: Session, uv: Path) -> None:
    environ = {**os.environ, "UV_FIND_LINKS": "/my/wheels"}
    told = fallback.provide(session, uv, environ, "3.14")["UV_FIND_LINKS"].split(",")
    assert told[0] == "/my/wheels"
    assert len(told) == 2


def test_a_wheel_holds_no_compiled_file_and_its_record_is_true(session: Session, uv: Path) -> None:
    folder = Path(fallback.provide(session, uv, os.environ, "3.14")["UV_FIND_LINKS"])
    wheel = folder / "markupsafe-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist() == [
            "markupsafe-2.0.dist-info/METADATA",
            "markupsafe-2.0.dist-info/RECORD",
            "markupsafe-2.0.dist-info/WHEEL",
            "markupsafe/__init__.py",
            "markupsafe/_native.py",
        ]
        assert b"Tag: py3-none-any\n" in archive.read("markupsafe-2.0.dist-info/WHEEL")
        record = archive.read("markupsafe-2.0.dist-info/RECORD").decode().splitlines()
        listed = dict(line.split(",", 1) for line in record)
        assert sorted(listed) == archive.namelist()
        for name, told in listed.items():
            data = archive.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
            truth = f"sha256={digest.rstrip('=')},{len(data)}"
            assert told == ("," if name.endswith("/RECORD") else truth)


def test_the_same_package_gives_the_same_bytes(tmp_path: Path) -> None:
    made: list[bytes] = []
    for name in ("one", "two"):
        tree = tmp_path / name
        (tree / "a").mkdir(parents=True)
        (tree / "a" / "__init__.py").write_text("")
        (tree / "a-1.dist-info").mkdir()
        (tree / "a-1.dist-info" / "METADATA").write_text("Name: a\n")
        os.utime(tree / "a" / "__init__.py", (len(made), len(made)))
        made.append(fallback.pack(tree, tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_a_package_that_cannot_be_had_leaves_nothing(
    session: Session, program: Program, tmp_path: Path
) -> None:
    uv = program("uv", "echo 'error: dns error' >&2; exit 2")
    with pytest.raises(PyodideOfflineError, match="get markupsafe"):
        fallback.provide(session, uv, os.environ, "3.14")
    assert not list((session.store.root).rglob("*.whl"))
