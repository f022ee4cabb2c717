"""Secret keys: kept as minisign keeps them, open to their owner only."""

import stat
import subprocess
from pathlib import Path

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.kits import signature, signing
from tests.peers import kits

PHRASE = "correct horse"


@pytest.mark.parametrize("passphrase", ["", PHRASE])
def test_a_saved_key_is_loaded_again(tmp_path: Path, passphrase: str) -> None:
    path = tmp_path / "kit.key"
    key = signing.generate()
    signing.save(key, path, passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing.load(path, passphrase) == key
    assert signing.locked(path) == bool(passphrase)
    assert signature.public_key((tmp_path / "kit.key.pub").read_text()) == key.public
    assert key.seed not in path.read_bytes()
    assert repr(key.seed) not in repr(key)
    with pytest.raises(SettingsError, match="exists"):
        signing.save(key, path, passphrase)


def test_a_wrong_passphrase_and_damaged_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "kit.key"
    signing.save(signing.generate(), path, PHRASE)
    with pytest.raises(SettingsError, match="cannot be opened"):
        signing.load(path, "wrong")
    with pytest.raises(SettingsError, match="locked"):
        signing.load(path)
    for text in ("", "untrusted comment: x\nRWRT\n", "\n\n", "é"):
        path.write_text(text)
        with pytest.raises(SettingsError):
            signing.load(path, PHRASE)
    with pytest.raises(SettingsError):
        signing.load(tmp_path / "missing")


def test_two_keys_are_not_the_same() -> None:
    assert signing.generate() != signing.generate()
    assert kits.key() == kits.key()


def test_debians_minisign_verifies_what_we_sign_and_signs_with_our_key(tmp_path: Path) -> None:
    key, path, message = signing.generate(), tmp_path / "kit.key", tmp_path / "message"
    signing.save(key, path)
    message.write_bytes(b"message")
    (tmp_path / "message.minisig").write_bytes(key.sign(b"message", "kit one serial 1"))
    public = [f"-P{key.public.line}"]
    done = subprocess.run(
        ["minisign", "-V", *public, "-m", message], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "kit one serial 1" in done.stdout
    message.write_bytes(b"massage")
    assert subprocess.run(
        ["minisign", "-V", *public, "-m", message], capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("form", [[], ["-H"]], ids=["plain", "hashed"])
def test_what_debians_minisign_makes_is_read(tmp_path: Path, form: list[str]) -> None:
    secret, public, message = tmp_path / "s", tmp_path / "p", tmp_path / "m"
    message.write_bytes(b"message")
    make = ["minisign", "-G", "-W", "-f", "-p", str(public), "-s", str(secret)]
    subprocess.run(make, check=True, capture_output=True)
    sign = ["minisign", "-S", *form, "-s", str(secret), "-m", str(message), "-t", "a comment"]
    subprocess.run(sign, check=True, capture_output=True)
    found = signature.read((tmp_path / "m.minisig").read_bytes())
    key = signature.public_key(public.read_text())
    assert found.comment == "a comment"
    assert signature.verified(key, found, b"message")
    assert signing.load(secret).public == key


def test_costs_are_libsodiums() -> None:
    # minisign's own (SENSITIVE), libsodium's INTERACTIVE and what save() takes.
    assert signing._costs(33554432, 1 << 30) == (1 << 20, 1)
    assert signing._costs(524288, 16 << 20) == (1 << 14, 1)
    assert signing._costs(1 << 22, 1 << 27) == (1 << 17, 1)
