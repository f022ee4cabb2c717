"""The authority of one store: made once, its key the owner's, certificates that clients take."""

import socket
import ssl
import stat
import threading
from datetime import timedelta

import pytest

from pyodide_offline.features.kit import authority
from pyodide_offline.features.kit.authority import Authority


def handshake(made: Authority, host: str, trusted: str) -> str:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            made.context(host).wrap_socket(ours, server_side=True).close()
        except OSError:
            ours.close()

    server = threading.Thread(target=serve)
    server.start()
    context = ssl.create_default_context(cafile=trusted)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with context.wrap_socket(theirs, server_hostname=host) as client:
            return str(client.getpeercert())
    finally:
        theirs.close()
        server.join(20)


@pytest.mark.parametrize("host", ["npm.example", "198.51.100.7", "2001:db8::7"])
def test_strict_clients_take_a_certificate_for_any_host(tmp_path, host):
    made = Authority(tmp_path)
    # The client compares the name itself.
    assert handshake(made, host, str(made.file))


def test_it_is_one_for_each_store_and_not_trusted_elsewhere(tmp_path):
    first, again = Authority(tmp_path / "a"), Authority(tmp_path / "a")
    other = Authority(tmp_path / "b")
    assert handshake(again, "npm.example", str(first.file))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other, "npm.example", str(first.file))


def test_its_key_is_the_owners(tmp_path):
    assert stat.S_IMODE(Authority(tmp_path).file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\0", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_damaged_one_is_made_anew(tmp_path, content):
    before = Authority(tmp_path).file
    before.write_bytes(content)
    made = Authority(tmp_path)
    assert handshake(made, "npm.example", str(made.file))


def test_one_that_ends_soon_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(authority, "_YEARS", timedelta(days=30))
    before = Authority(tmp_path).file.read_bytes()
    monkeypatch.undo()
    after = Authority(tmp_path).file.read_bytes()
    assert before != after
    assert Authority(tmp_path).file.read_bytes() == after


def test_a_hosts_certificate_leaves_nothing_behind(tmp_path):
    made = Authority(tmp_path)
    made.context("npm.example")
    assert [one.name for one in made.file.parent.iterdir()] == [made.file.name]
