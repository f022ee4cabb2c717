"""The proxies of a command, from all places."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.network import pacfile
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session
from tests.conftest import Recorder

_PAC = 'function FindProxyForURL(url, host) { return "PROXY script:1; DIRECT"; }'


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "proxy.pac"
    file.write_text(_PAC, encoding="utf-8")
    return str(file)


def _found(session: Session, *named: str, host: str = "there.test") -> list[str]:
    return [str(one) for one in Upstreams(session, named).for_target("https", host, 443)]


def test_each_place_stands_in_for_the_ones_after_it(
    session: Session, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_PROXY", "http://pip:1")
    assert _found(session) == ["http://pip:1"]
    (session.project / ".npmrc").write_text("https-proxy=http://npm:1\nnoproxy=.corp\n")
    assert _found(session) == ["http://npm:1"]
    assert _found(session, host="x.corp") == []
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert _found(session) == ["http://all:1"]
    assert _found(session, host="x.corp") == ["http://all:1"]
    by_script = replace(session, pac=script)
    assert _found(by_script) == ["http://script:1", "no proxy"]
    named = replace(by_script, proxies=("http://a:1", "http://b:1"))
    assert _found(named) == ["http://a:1", "http://b:1"]
    assert _found(named, "http://c:1") == ["http://c:1"]
    assert _found(named, "") == []


def test_no_proxy_takes_out_of_all_of_them(
    session: Session, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", ".test")
    monkeypatch.setenv("PIP_PROXY", "http://pip:1")
    for one in (session, replace(session, pac=script), replace(session, proxies=("http://a:1",))):
        assert _found(one) == []
        heedless = Upstreams(one).for_target("https", "there.test", 443, heed_no_proxy=False)
        assert heedless != []


def test_settings_name_themselves(session: Session) -> None:
    (session.project / ".npmrc").write_text("proxy=http://joe:hunter2@npm:1\n")
    (found,) = Upstreams(session).for_target("https", "there.test", 443)
    assert found.origin == f"proxy in {session.project / '.npmrc'}"
    assert found.named
    assert (found.user, found.password) == ("joe", "hunter2")


def test_without_the_scripts_server_the_other_places_count_and_it_is_said_once(
    session: Session, monkeypatch: pytest.MonkeyPatch, progress: Recorder
) -> None:
    def gone(*_: object) -> None:
        raise pacfile.UnreachablePacError("no route")

    monkeypatch.setattr(pacfile, "load", gone)
    monkeypatch.setenv("HTTPS_PROXY", "http://env:1")
    upstreams = Upstreams(replace(session, pac="http://wpad/proxy.pac"))
    for _ in range(2):
        assert [str(one) for one in upstreams.for_target("https", "x", 443)] == ["http://env:1"]
    assert progress.notes == ["the PAC file is not there (no route): going on without it"]


def test_files_are_read_once(session: Session) -> None:
    (session.project / ".npmrc").write_text("proxy=http://npm:1\n")
    upstreams = Upstreams(session)
    assert [str(one) for one in upstreams.for_target("https", "x", 443)] == ["http://npm:1"]
    (session.project / ".npmrc").unlink()
    assert [str(one) for one in upstreams.for_target("https", "x", 443)] == ["http://npm:1"]
