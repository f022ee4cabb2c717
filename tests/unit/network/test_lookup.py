"""The system's resolver, and what happens when it does not answer."""

import asyncio
import socket
import threading
import time

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import lookup


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch):
    """A resolver that does not answer before the test is over."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(60))
    yield
    over.set()


def test_the_systems_addresses_come_once_each() -> None:
    found = lookup.run(lambda: lookup.addresses("localhost"), 5)
    assert "127.0.0.1" in found
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "not found"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no name server answers"),
        (socket.gaierror(socket.EAI_FAIL, "broken beyond hope"), "broken beyond hope"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
def test_a_failure_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NetworkError, match=says):
        lookup.run(lambda: lookup.addresses("a.example"), 5)


@pytest.mark.usefixtures("stuck")
def test_a_resolver_that_hangs_is_given_up_and_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "SECONDS", 0.05)
    began = time.monotonic()
    with pytest.raises(NetworkError, match="no answer within"):
        lookup.run(lambda: lookup.addresses("a.example"), 5)
    assert time.monotonic() - began < 4


def test_the_whole_is_bounded() -> None:
    with pytest.raises(NetworkError, match=r"no answer within 0\.05 seconds"):
        lookup.run(lambda: asyncio.sleep(30), 0.05)
