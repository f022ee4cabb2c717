"""Which proxies count for a target."""

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import ways
from pyodide_offline.network.proxies import Upstream, parse
from pyodide_offline.network.targets import Target

A = Target("a.example", 443)


def test_named_proxies_count_in_place_of_the_environments(session, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://env.example:1")
    monkeypatch.setenv("NO_PROXY", "in.example")
    inside = Target("in.example", 443)
    (found,) = ways.find(session, [A])[A]
    assert ways.by([found]) == "through http://env.example:1"
    found_too = ways.find(session, [A, inside], ["http://me:secret@p.example:2", "http://q:3"])
    assert ways.by(found_too[A]) == "through http://p.example:2 or through http://q:3"
    assert ways.by(found_too[inside]) == "directly"
    with pytest.raises(SettingsError):
        ways.find(session, [A], ["gopher://x"])


def test_direct_among_the_proxies_is_said_so():
    found = [parse("http://p:1", "a PAC file"), Upstream("direct", "", 0, named=False)]
    assert ways.by(found) == "through http://p:1 or directly"
