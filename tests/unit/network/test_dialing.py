"""Which way a target is dialled, and what is not dialled."""

import asyncio

import pytest

from pyodide_offline.errors import NetworkError, SettingsError
from pyodide_offline.network import dialing
from pyodide_offline.network.targets import Target

A = Target("a.example", 443)


def test_named_proxies_count_in_place_of_the_environments(session, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://env.example:1")
    monkeypatch.setenv("NO_PROXY", "in.example")
    inside = Target("in.example", 443)
    (found,) = dialing.ways(session, [A])[A]
    assert dialing.by([found]) == "through http://env.example:1"
    found_too = dialing.ways(session, [A, inside], ["http://me:secret@p.example:2", "http://q:3"])
    assert dialing.by(found_too[A]) == "through http://p.example:2 or through http://q:3"
    assert dialing.by(found_too[inside]) == "directly"
    with pytest.raises(SettingsError):
        dialing.ways(session, [A], ["gopher://x"])


def test_a_target_that_leads_back_here_is_not_dialled(session):
    async def play():
        target = Target("localhost", 443)
        dialer = dialing.Dialer({}, {target: ()})
        dialer.listening = [("127.0.0.1", 443)]
        dialer._known[target] = ["127.0.0.1", "::1"]
        with pytest.raises(NetworkError, match="no address but this tunnel's own"):
            await dialer.dial(target)

    asyncio.run(play())
