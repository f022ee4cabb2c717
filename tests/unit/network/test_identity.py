"""A server's certificate and key."""

import subprocess
from pathlib import Path

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import identity
from tests.peers.authority import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    Authority(tmp_path / "authority")
    return tmp_path / "authority"


def test_a_certificate_with_its_key_is_well(authority: Path) -> None:
    identity.check(authority / "ca.pem", authority / "key.pem")


def test_the_key_of_another_is_told(authority: Path, tmp_path: Path) -> None:
    Authority(tmp_path / "other")
    with pytest.raises(SettingsError, match="that of another certificate"):
        identity.check(authority / "ca.pem", tmp_path / "other" / "key.pem")


def test_what_is_no_pem_or_not_there_is_told(authority: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match="must be PEM"):
        identity.check(tmp_path / "empty", authority / "key.pem")
    with pytest.raises(SettingsError, match=r"of --tls-key cannot be read: No such file"):
        identity.check(authority / "ca.pem", tmp_path / "none")


def test_a_key_with_a_passphrase_asks_nobody(authority: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", str(authority / "key.pem"), "-aes128", "-out", str(locked)]
    subprocess.run([*command, "-passout", "pass:secret"], check=True, capture_output=True)
    with pytest.raises(SettingsError, match="without a passphrase"):
        identity.check(authority / "ca.pem", locked)
