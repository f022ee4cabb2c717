"""One CA file for all programs."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from pyodide_offline import disk
from pyodide_offline.errors import SettingsError
from pyodide_offline.network import authorities, cafile, trust
from pyodide_offline.network.trust import Source
from pyodide_offline.store import Store

PUBLIC = authorities.read(trustme.CA().cert_pem.bytes()).certificates[0]
_system = cafile.system


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_noted", set())
    # The machine's own takes a while; one test has it.
    monkeypatch.setattr(cafile, "system", lambda: [PUBLIC])


@pytest.fixture
def corp(tmp_path: Path) -> Path:
    """A company's CA file, with the key that should not be there."""
    authority = trustme.CA()
    file = tmp_path / "corp.pem"
    text = b"# ours\r\n" + authority.private_key_pem.bytes() + authority.cert_pem.bytes()
    file.write_bytes(text)
    return file


def certificates(file: str) -> tuple[bytes, ...]:
    return authorities.read(Path(file).read_bytes()).certificates


def made(store: Store, environ: Mapping[str, str]) -> dict[str, str]:
    return cafile.environment(store, environ, pytest.fail)


def test_with_no_ca_named_nothing_is_changed(store: Store) -> None:
    environ = {"PATH": "/bin", "NODE_EXTRA_CA_CERTS": ""}
    assert made(store, environ) == environ
    assert not store.root.exists()


@pytest.mark.parametrize("variable", trust.VARIABLES)
def test_all_programs_get_the_systems_authorities_and_the_users(
    store: Store, corp: Path, variable: str
) -> None:
    environ = made(store, {variable: str(corp), "PATH": "/bin"})
    files = {environ[name] for name in cafile.VARIABLES}
    assert len(files) == 1
    held = certificates(files.pop())
    assert set(certificates(str(corp))) < set(held)
    assert PUBLIC in held
    assert environ["PATH"] == "/bin"


def test_only_certificates_are_written_and_a_key_never(store: Store, corp: Path) -> None:
    text = Path(made(store, {"PIP_CERT": str(corp)})["PIP_CERT"]).read_text()
    lines = set(text.splitlines())
    assert {line for line in lines if "-" in line or " " in line} == {
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
    }
    assert not lines & set(corp.read_text().split("-----BEGIN CERT")[0].splitlines()[2:-1])


def test_npms_variable_in_another_case_does_not_stay_beside_ours(store: Store, corp: Path) -> None:
    environ = made(store, {"NPM_CONFIG_CAFILE": str(corp)})
    assert [name for name in environ if name.lower() == "npm_config_cafile"] == [
        "npm_config_cafile"
    ]


def test_unchanged_files_are_not_read_again_and_nothing_is_written(
    store: Store, corp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"SSL_CERT_FILE": str(corp)}
    first = made(store, environ)
    monkeypatch.setattr(trust, "read", pytest.fail)
    monkeypatch.setattr(disk, "write_whole", pytest.fail)
    assert made(store, environ) == first


def test_a_changed_file_makes_another(store: Store, corp: Path) -> None:
    environ = {"SSL_CERT_FILE": str(corp)}
    before = made(store, environ)["SSL_CERT_FILE"]
    corp.write_bytes(trustme.CA().cert_pem.bytes())
    after = made(store, environ)["SSL_CERT_FILE"]
    assert after != before
    assert set(certificates(str(corp))) < set(certificates(after))


def test_a_file_that_was_removed_is_made_again(store: Store, corp: Path) -> None:
    environ = {"SSL_CERT_FILE": str(corp)}
    before = Path(made(store, environ)["SSL_CERT_FILE"])
    before.unlink()
    assert made(store, environ)["SSL_CERT_FILE"] == str(before)
    assert before.is_file()


def test_one_command_in_another_has_the_same_file(store: Store, corp: Path) -> None:
    outer = made(store, {"PYODIDE_OFFLINE_CA": str(corp)})
    assert made(store, outer) == outer


def test_a_stale_variable_is_left_out_with_a_word(store: Store, corp: Path) -> None:
    notes: list[str] = []
    environ = {"SSL_CERT_FILE": str(corp), "NODE_EXTRA_CA_CERTS": "/nowhere/ca.pem"}
    found = cafile.environment(store, environ, notes.append)
    assert found["NODE_EXTRA_CA_CERTS"] == found["SSL_CERT_FILE"] != str(corp)
    assert len(notes) == 1
    assert "/nowhere/ca.pem of NODE_EXTRA_CA_CERTS is left out" in notes[0]
    alone = {"NODE_EXTRA_CA_CERTS": "/nowhere/ca.pem"}
    assert cafile.environment(store, alone, notes.append) == alone


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----"])
def test_a_ca_option_that_cannot_be_used_is_an_error(
    store: Store, tmp_path: Path, corp: Path, content: bytes | None
) -> None:
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"bad\.pem cannot be used: [Nn]o "):
            made(store, {"PYODIDE_OFFLINE_CA": os.pathsep.join([str(corp), str(bad)])})


def test_an_expired_certificate_is_left_out(
    store: Store, corp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = certificates(str(corp))
    monkeypatch.setattr(authorities, "unsound", lambda one, *_: "expired" if one in old else "")
    notes: list[str] = []
    environ = {"SSL_CERT_FILE": str(corp)}
    assert cafile.environment(store, environ, notes.append) == environ
    assert notes == [f"The CA file {corp} of SSL_CERT_FILE is left out: what it holds is expired."]


def test_files_of_npms_and_pips_settings_count_too(store: Store, corp: Path) -> None:
    named = [Source(corp, "cafile in ~/.npmrc")]
    environ = cafile.environment(store, {}, pytest.fail, named)
    assert set(certificates(str(corp))) < set(certificates(environ["PIP_CERT"]))


def test_the_files_are_bounded(
    store: Store, corp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cafile, "_KEPT", 2)
    last = ""
    for number in range(4):
        corp.write_bytes(trustme.CA().cert_pem.bytes() + b" " * number)
        last = made(store, {"SSL_CERT_FILE": str(corp)})["SSL_CERT_FILE"]
    folder = Path(last).parent
    assert len(list(folder.glob("*.pem"))) == 2
    assert len(list((folder / "index").iterdir())) == 2
    assert Path(last).is_file()


def test_without_a_store_of_the_system_certifis_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import certifi

    class Empty:
        def __init__(self, _: object) -> None:
            pass

        def load_default_certs(self) -> None:
            pass

        def get_ca_certs(self, **_: bool) -> list[bytes]:
            return []

    paths = ssl.DefaultVerifyPaths("", "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(cafile, "_SYSTEM", ())
    read = trust.read(Path(certifi.where()))[0]
    monkeypatch.setattr(trust, "_loads", lambda _: True)
    monkeypatch.setattr(ssl, "SSLContext", Empty)
    assert _system() == read


def test_the_systems_are_those_of_its_own_file() -> None:
    file = next(Path(one) for one in cafile._SYSTEM if Path(one).is_file())
    assert set(_system()) <= set(trust.read(file)[0])
    assert len(_system()) > 50
