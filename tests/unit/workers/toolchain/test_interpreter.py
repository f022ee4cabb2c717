import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, OfflineError, UnsupportedError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import interpreter
from tests.unit.workers.toolchain.conftest import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not made on Windows")
FILES = {
    "pyodide.mjs": b"",
    "pyodide.asm.mjs": b"",
    "pyodide.asm.wasm": b"",
    "python_stdlib.zip": b"",
    "pyodide-lock.json": json.dumps({"info": {"python": "3.14.2"}}).encode(),
    "README.md": b"",
}


def _tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def npm(session: Session, tmp_path: Path) -> tuple[str, ...]:
    """The store holds npm's package already; no npm may be asked."""
    made = _tarball(tmp_path / "pyodide.tgz", FILES)

    def copy(target: Path) -> dict[str, str]:
        target.write_bytes(made.read_bytes())
        return {}

    session.store.fill("npm", "pyodide@314.0.6", copy)
    return ("/absent/npm",)


def test_laid_out_for_uv(session: Session, npm: tuple[str, ...]) -> None:
    assert interpreter.find(session, "3.14") is None
    made = interpreter.provide(session, "3.14", npm)
    assert made.request == "cpython-3.14.2-emscripten-wasm32-musl"
    assert made.name == "pyodide-3.14.2-emscripten-wasm32-musl"
    assert {one.name for one in made.folder.iterdir()} == {
        *(set(FILES) - {"README.md"}),
        "launcher.mjs",
        "python",
    }
    assert interpreter.find(replace(session, offline=True), "3.14") == made


def test_started_through_links_with_the_name_it_was_called_by(
    session: Session, npm: tuple[str, ...], program: Program, tmp_path: Path
) -> None:
    made = interpreter.provide(session, "3.14", npm)
    node = program("some-node", 'echo "$0|$@"')
    shown = interpreter.publish(session, made, node)
    environment = tmp_path / "venv"
    environment.mkdir()
    (environment / "python").symlink_to(shown / made.name / "python")
    (environment / "python3").symlink_to("python")
    called = environment / "python3"
    launcher = f"{made.folder}/launcher.mjs {called} -c pass"
    assert _output(called) == f"{shown}/{made.name}/.node|{launcher}"
    other = program("other-node", 'echo "$0|$@"')
    assert _output(called, PYODIDE_OFFLINE_NODE=str(other)) == f"{other}|{launcher}"
    node.unlink()
    on_path = program("node", 'echo "$0|$@"')
    assert _output(called, PATH=str(on_path.parent)).startswith(str(on_path))


def _output(program: Path, **environ: str) -> str:
    done = subprocess.run(
        [program, "-c", "pass"],
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_users_pythons_stay_visible(
    session: Session, npm: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "cpython-3.13.0-linux-x86_64-gnu" / "bin").mkdir(parents=True)
    (theirs / ".temp").mkdir()
    (theirs / ".gitignore").touch()
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(theirs))
    made = interpreter.provide(session, "3.14", npm)
    shown = interpreter.publish(session, made, Path("/absent/node"))
    assert interpreter.publish(session, made, Path("/absent/node")) == shown
    names = {one.name for one in shown.iterdir()}
    assert names == {made.name, "cpython-3.13.0-linux-x86_64-gnu"}
    # uv passes over links to folders: only what is inside may be one.
    assert not any(one.is_symlink() for one in shown.iterdir())
    link = shown / "cpython-3.13.0-linux-x86_64-gnu" / "bin"
    assert link.readlink() == theirs / "cpython-3.13.0-linux-x86_64-gnu" / "bin"


@pytest.mark.parametrize("lacking", ["pyodide.mjs", "pyodide.asm.mjs", "python_stdlib.zip"])
def test_not_pyodides_package(tmp_path: Path, lacking: str) -> None:
    files = {name: content for name, content in FILES.items() if name != lacking}
    with pytest.raises(IntegrityError, match=lacking):
        interpreter.lay_out(_tarball(tmp_path / "x.tgz", files), tmp_path)


def test_a_lockfile_without_a_python(tmp_path: Path) -> None:
    tarball = _tarball(tmp_path / "x.tgz", {**FILES, "pyodide-lock.json": b"{}"})
    with pytest.raises(IntegrityError, match="names no Python"):
        interpreter.lay_out(tarball, tmp_path)


def test_a_python_that_npm_has_no_pyodide_for(session: Session) -> None:
    with pytest.raises(UnsupportedError, match=r"3\.12"):
        interpreter.provide(session, "3.12", ("npm",))


def test_windows(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnsupportedError, match="Windows"):
        interpreter.provide(session, "3.14", ("npm",))


def test_offline(session: Session) -> None:
    with pytest.raises(OfflineError):
        interpreter.provide(replace(session, offline=True), "3.14", ("npm",))
