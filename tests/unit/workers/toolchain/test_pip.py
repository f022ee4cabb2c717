import sys
from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip
from tests.unit.workers.toolchain.conftest import Program


def test_installs_with_this_pythons_pip(
    session: Session, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    python = program(
        "python", f'echo "$@" >{log}; echo "user=$PIP_USER prefix=$PIP_PREFIX" >>{log}'
    )
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(pip, "_has_pip", lambda: True)
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_PREFIX", "/elsewhere")
    pip.install(session, tmp_path / "out", ["one", "two>=2"], dependencies=False)
    command, environment = log.read_text().splitlines()
    assert command.startswith("-m pip install")
    assert command.endswith(f"--target {tmp_path / 'out'} --only-binary :all: one two>=2")
    assert "--no-deps" in command
    assert environment == "user=0 prefix="


def test_without_pip_uv_is_taken(
    session: Session, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    program("uv", f'echo "$@" >{log}')
    monkeypatch.setattr(pip, "_has_pip", lambda: False)
    pip.install(session, tmp_path / "out", ["one"])
    assert log.read_text().startswith(f"pip install --quiet --python {sys.executable} --target")


@pytest.mark.usefixtures("bin_dir")
def test_without_pip_and_uv(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip, "_has_pip", lambda: False)
    with pytest.raises(ToolchainError, match="no pip"):
        pip.install(session, tmp_path / "out", ["one"])
    assert pip.configuration(session) == {}


def test_a_failure_says_why_without_secrets(
    session: Session, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        'echo "WARNING: Retrying https://me:secret@index.test/one" >&2\n'
        'echo "ERROR: No matching distribution at https://me:secret@index.test" >&2\n'
        'echo "[notice] A new release of pip is available" >&2; exit 1'
    )
    monkeypatch.setattr(sys, "executable", str(program("python", text)))
    monkeypatch.setattr(pip, "_has_pip", lambda: True)
    with pytest.raises(ToolchainError) as raised:
        pip.install(session, tmp_path / "out", ["one"])
    assert raised.value.why == "ERROR: No matching distribution at https://***@index.test"


def test_configuration(session: Session, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "cat <<'END'\n:env:.cert='/env.pem'\nglobal.cert='/global.pem'\n"
        "global.index-url='https://global.test/simple'\n"
        "install.index-url='https://install.test/simple'\nnot a setting\nEND"
    )
    monkeypatch.setattr(sys, "executable", str(program("python", text)))
    monkeypatch.setattr(pip, "_has_pip", lambda: True)
    assert pip.configuration(session) == {
        "cert": "/env.pem",
        "index-url": "https://install.test/simple",
    }


def test_an_index_that_does_not_answer_is_an_error_of_the_network(
    session: Session, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "echo \"WARNING: Retrying after connection broken by 'NewConnectionError(...)'\" >&2\n"
        'echo "ERROR: No matching distribution found for one" >&2; exit 1'
    )
    monkeypatch.setattr(sys, "executable", str(program("python", text)))
    monkeypatch.setattr(pip, "_has_pip", lambda: True)
    with pytest.raises(NetworkError, match="Cannot get one"):
        pip.install(session, tmp_path / "out", ["one"])
