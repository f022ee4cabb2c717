"""What a command is confined to, and what it does not get."""

import sys

import pytest

from pyodide_offline.errors import ProjectError, SettingsError, UnsupportedError
from pyodide_offline.features import confine
from pyodide_offline.network import confinement
from pyodide_offline.network.targets import Target


def test_the_command_gets_no_proxy_and_no_login():
    environ = {
        "HTTPS_PROXY": "http://me:secret@p:1", "https_proxy": "x", "All_Proxy": "x",
        "npm_config_https_proxy": "x", "PYODIDE_OFFLINE_PROXY_PASSWORD": "secret",
        "PYODIDE_OFFLINE_PROXY": "http://p:1",
        "NO_PROXY": "a", "SSL_CERT_FILE": "/ca.pem", "PATH": "/bin",
    }  # fmt: skip
    assert confine.inner(environ) == {"NO_PROXY": "a", "SSL_CERT_FILE": "/ca.pem", "PATH": "/bin"}


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_cannot_be_led_elsewhere(session, host):
    with pytest.raises(SettingsError, match="is an address"):
        confine.run(session, ["true"], print, confine.Options(targets=[Target(host)]))


@pytest.mark.parametrize(("platform", "name"), [("darwin", "macOS"), ("win32", "Windows")])
def test_other_systems_hear_that_it_is_for_linux(session, monkeypatch, platform, name):
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(UnsupportedError, match=f"for Linux: {name}"):
        confine.run(session, ["true"], print)


def test_without_a_worker_a_target_has_to_be_named(session):
    with pytest.raises(ProjectError) as caught:
        confine.run(session, ["true"], print)
    assert "pyodide-offline exec --target HOST:443" in caught.value.next_step


def test_what_is_inside_is_planned_from_the_targets(session, monkeypatch):
    plans = []

    def enter(plan):
        plans.append(plan)
        raise UnsupportedError("no")

    monkeypatch.setattr(confinement, "enter", enter)
    wanted = [Target("a.example"), Target("b.example"), Target("a.example", 8443)]
    with pytest.raises(UnsupportedError):
        confine.run(session, ["true"], print, confine.Options(targets=wanted))
    (plan,) = plans
    assert plan.names == ["a.example", "b.example", "a.example"]
    assert plan.listeners == [("127.0.0.1", 443), ("127.0.0.1", 8443)]
