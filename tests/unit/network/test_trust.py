"""Which certificates are believed."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyodide_offline.network import trust
from tests.peers.authority import Authority
from tests.peers.registry import Registry


def test_certificates_and_names_are_always_checked() -> None:
    made = trust.context({}, note=pytest.fail)
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname


def test_files_of_the_environment_come_in_a_fixed_order_and_empty_ones_not_at_all() -> None:
    environ = {"NODE_EXTRA_CA_CERTS": "/node.pem", "SSL_CERT_FILE": "/openssl.pem"}
    assert trust.named_files(environ) == [Path("/openssl.pem"), Path("/node.pem")]
    assert trust.named_files({"SSL_CERT_FILE": ""}) == []


def test_a_named_file_is_trusted_beside_the_system(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "with spaces")
    made = trust.context({}, [authority.ca], note=pytest.fail)
    with Registry(tls=authority.server()) as peer:
        address = ("127.0.0.1", urlsplit(peer.origin).port)
        with (
            socket.create_connection(address) as plain,
            made.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.version()


def test_a_file_that_is_missing_or_holds_no_certificate_is_left_out_with_a_word(
    tmp_path: Path,
) -> None:
    text = tmp_path / "text.pem"
    text.write_text("not a certificate")
    notes: list[str] = []
    trust.context({"NODE_EXTRA_CA_CERTS": str(tmp_path / "missing.pem")}, [text], note=notes.append)
    assert [str(tmp_path / "missing.pem") in notes[0], "No such file" in notes[0]] == [True, True]
    assert notes[1] == f"The CA file {text} is left out: no certificate in it."
