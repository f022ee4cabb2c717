"""Which certificates are believed."""

import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyodide_offline.network import trust
from pyodide_offline.network.trust import Source
from tests.peers.authority import Authority
from tests.peers.registry import Registry


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_noted", set())


def believes(context: ssl.SSLContext, authority: Authority) -> bool:
    with Registry(tls=authority.server()) as peer:
        address = ("127.0.0.1", urlsplit(peer.origin).port)
        try:
            with (
                socket.create_connection(address) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
            ):
                return secure.version() is not None
        except ssl.SSLCertVerificationError:
            return False


def test_certificates_and_names_are_always_checked() -> None:
    made = trust.context({}, note=pytest.fail)
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname


def test_sources_come_in_a_fixed_order_each_path_once_and_empty_ones_not_at_all() -> None:
    environ = {
        "NODE_EXTRA_CA_CERTS": "/node.pem",
        "SSL_CERT_FILE": "/openssl.pem",
        "CURL_CA_BUNDLE": "/openssl.pem",
        "REQUESTS_CA_BUNDLE": "",
        "SSL_CERT_DIR": os.pathsep.join(["/one", "/two"]),
        "NPM_CONFIG_CAFILE": "/npm.pem",
        "PYODIDE_OFFLINE_CA": os.pathsep.join(["/a.pem", "/b.pem"]),
    }
    assert [(str(one.path), one.origin) for one in trust.sources(environ)] == [
        ("/a.pem", "--ca"),
        ("/b.pem", "--ca"),
        ("/openssl.pem", "SSL_CERT_FILE"),
        ("/one", "SSL_CERT_DIR"),
        ("/two", "SSL_CERT_DIR"),
        ("/npm.pem", "npm_config_cafile"),
        ("/node.pem", "NODE_EXTRA_CA_CERTS"),
    ]
    assert trust.sources({"SSL_CERT_FILE": ""}) == []


@pytest.mark.parametrize("variable", trust.VARIABLES)
def test_what_a_variable_names_is_trusted_beside_the_system(tmp_path: Path, variable: str) -> None:
    authority = Authority(tmp_path / "with spaces")
    made = trust.context({variable: str(authority.ca)}, note=pytest.fail)
    assert believes(made, authority)
    assert not believes(trust.context({}, note=pytest.fail), authority)


def test_a_folder_of_certificates_is_trusted_keys_and_remarks_in_it_are_passed_over(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca")
    (tmp_path / "ca" / "README").write_text("what this is")
    made = trust.context({"PYODIDE_OFFLINE_CA": str(tmp_path / "ca")}, note=pytest.fail)
    assert believes(made, authority)


def test_one_bad_block_does_not_cost_the_good_ones(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    good = authority.ca.read_text()
    lines = good.splitlines()
    both = tmp_path / "both.pem"
    # One that is no base64, and one that is, of a certificate's length, but holds nonsense.
    nonsense = ssl.DER_cert_to_PEM_cert(b"0\x82\x01\x00" + bytes(256))
    both.write_text("\n".join([lines[0], "!!!!", lines[-1]]) + "\n" + nonsense + good)
    notes: list[str] = []
    made = trust.context({}, [both], note=notes.append)
    assert believes(made, authority)
    assert notes == [f"The CA file {both} is used in part: 1 of its certificates cannot be read."]


def test_a_file_that_is_missing_or_holds_no_certificate_is_left_out_with_a_word_said_once(
    tmp_path: Path,
) -> None:
    text = tmp_path / "text.pem"
    text.write_text("not a certificate")
    missing = tmp_path / "missing.pem"
    notes: list[str] = []
    for _ in range(2):
        trust.context({"NODE_EXTRA_CA_CERTS": str(missing)}, [text], note=notes.append)
    assert notes == [
        f"The CA file {missing} of NODE_EXTRA_CA_CERTS is left out: No such file or directory.",
        f"The CA file {text} is left out: no certificate in it.",
    ]
    assert trust.read(tmp_path) == ([], "no certificate in this folder")
    assert trust.read(Path("/dev/null")) == ([], "not a file of certificates")


def test_what_switches_the_checks_off_elsewhere_is_not_followed_and_said(tmp_path: Path) -> None:
    environ = {
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "NPM_CONFIG_STRICT_SSL": "False",
        "PIP_TRUSTED_HOST": "registry.example",
    }
    notes: list[str] = []
    made = trust.context(environ, note=notes.append)
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert not believes(made, Authority(tmp_path / "ca"))
    assert [note.split()[0] for note in notes] == [
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "npm_config_strict_ssl",
        "PIP_TRUSTED_HOST",
    ]
    assert all("--ca FILE" in note for note in notes)
    assert trust.not_followed({"NODE_TLS_REJECT_UNAUTHORIZED": "1"}) == []


def test_a_source_says_where_it_is_named() -> None:
    assert str(Source(Path("/a.pem"), "PIP_CERT")) == "/a.pem of PIP_CERT"
