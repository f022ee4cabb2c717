"""Loopback needs nothing; any other address needs TLS and tokens."""

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import access, tokens


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "127.5.0.1", "::1"])
def test_this_machine_alone_needs_nothing(tmp_path, host):
    found = access.rules(host, tmp_path / "tokens", tls=False)
    assert found.tokens is None
    assert access.WORKERD in found.names


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mirror.example"])  # noqa: S104
def test_others_need_tls_and_tokens(tmp_path, host):
    file = tmp_path / "tokens"
    with pytest.raises(SettingsError, match="without TLS"):
        access.rules(host, file, tls=False)
    for tls in (True, False):
        with pytest.raises(SettingsError, match="for everybody"):
            access.rules(host, file, tls=tls, insecure=not tls)
    tokens.add(file, "ci", "read")
    for tls in (True, False):
        assert access.rules(host, file, tls=tls, insecure=not tls).tokens


def test_tokens_that_are_there_count_here_too(tmp_path):
    file = tmp_path / "tokens"
    tokens.add(file, "ci", "read")
    assert access.rules("127.0.0.1", file, tls=False).tokens


def test_names(tmp_path):
    found = access.rules("localhost", tmp_path / "tokens", tls=False, names=["Mirror.Example."])
    assert found.names == {access.WORKERD, "mirror.example", "localhost"}
