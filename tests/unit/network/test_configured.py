"""CA files in npm's and pip's settings."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from pyodide_offline.network import borrowed, configured, trust


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "me"
    (folder / ".config" / "pip").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def _only_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what this machine has in /etc."""
    real = borrowed.pip_files

    def mine(environ: Mapping[str, str]) -> list[Path]:
        return [one for one in real(environ) if environ["HOME"] in str(one)]

    monkeypatch.setattr(borrowed, "pip_files", mine)


def found(home: Path, project: Path, **environ: str) -> list[tuple[str, str]]:
    environ = {"HOME": str(home), **environ}
    read = configured.sources(environ, project)
    return [(str(one.path), one.origin) for one in read]


def test_without_files_there_is_nothing(home: Path, tmp_path: Path) -> None:
    assert found(home, tmp_path) == []


def test_the_strongest_npmrc_that_names_one_wins(home: Path, tmp_path: Path) -> None:
    (home / ".npmrc").write_text("registry=https://r.example/\ncafile=/home.pem\n")
    assert found(home, tmp_path) == [("/home.pem", f"cafile in {home}/.npmrc")]
    (tmp_path / ".npmrc").write_text("; cafile=/no.pem\ncafile=${WHERE}/corp.pem\n")
    expected = [("/there/corp.pem", f"cafile in {tmp_path}/.npmrc")]
    assert found(home, tmp_path, WHERE="/there") == expected
    (tmp_path / ".npmrc").write_text("cafile=null\n")
    assert found(home, tmp_path)[0][0] == "/home.pem"


def test_a_relative_file_is_taken_from_the_project(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("cafile = certs/corp.pem")
    assert found(home, tmp_path)[0][0] == f"{tmp_path}/certs/corp.pem"


def test_certificates_in_an_npmrc_are_read_out_of_it(home: Path, tmp_path: Path) -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    (home / ".npmrc").write_text('ca="' + pem.replace("\n", "\\n") + '"\n_authToken=x\n')
    ((path, origin),) = found(home, tmp_path)
    assert origin == "npm's ca"
    certificates, problem = trust.read(Path(path))
    assert (len(certificates), problem) == (1, "")


def test_pips_cert_of_install_goes_before_that_of_all_commands(home: Path, tmp_path: Path) -> None:
    file = home / ".config" / "pip" / "pip.conf"
    file.write_text("[global]\ncert = /all.pem\n")
    assert found(home, tmp_path) == [("/all.pem", f"global.cert in {file}")]
    file.write_text("[global]\ncert = /all.pem\n[install]\ncert = /install.pem\n")
    assert found(home, tmp_path) == [("/install.pem", f"install.cert in {file}")]
    assert found(home, tmp_path, PIP_CERT="/variable.pem") == []
    assert found(home, tmp_path, PIP_CONFIG_FILE=os.devnull) == []
