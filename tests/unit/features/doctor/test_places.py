import socket
import sys

import pytest

from pyodide_offline import process
from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.finding import failed, passed, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Outcome, Place
from pyodide_offline.network import reach
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import pip, programs

NPM = Place("npm", "https://npm.test/", "x")
OFFICIAL = Place("official", "https://bundles.test/", "x")


def test_a_place_knows_host_and_port() -> None:
    assert (NPM.host, NPM.port, NPM.scheme) == ("npm.test", 443, "https")
    assert Place("npm", "http://npm.test/", "x").port == 80
    assert Place("npm", "https://npm.test:8443/a/", "x").port == 8443


def test_without_a_project_the_known_host_is_the_official_one(session: Session) -> None:
    assert places.official(Observed(session)).url == places.KNOWN


def test_the_npm_registry_is_the_users_own(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "https://me:hunter2@npm.corp.test/mirror")
    found = places.npm(Observed(session))
    assert found is not None
    assert found.url == "https://npm.corp.test/mirror/"
    assert "npm_config_registry" in found.source


def test_without_npm_and_settings_there_is_no_registry(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "which", lambda *_: None)
    assert places.npm(Observed(session)) is None


def test_the_index_is_the_variables_else_pips(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:hunter2@pypi.corp.test/simple")
    found = places.pypi(Observed(session))
    assert found == Place("pypi", "https://pypi.corp.test/simple/", "the variable PIP_INDEX_URL")
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setattr(pip, "configuration", lambda _: {"index-url": "https://conf.test/"})
    found = places.pypi(Observed(session))
    assert found == Place("pypi", "https://conf.test/", "pip's settings")


def test_pips_own_default_is_in_its_help(session: Session) -> None:
    found = places._default_index(Observed(session))
    shown = process.capture([sys.executable, "-m", "pip", "install", "--help"],
                            env=session.environ, timeout=60)  # fmt: skip
    assert found is not None
    assert found.startswith("https://")
    assert found in "".join(shown.stdout.split())


def test_a_request_is_made_once_for_all_checks(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def ask(url: str, *_: object, method: str, **__: object) -> reach.Answer:
        asked.append((method, url))
        raise NetworkError("No.", facts={"stage": "untrusted"})

    monkeypatch.setattr(reach, "ask", ask)
    observed = Observed(session)
    for _ in range(2):
        assert places.outcome(observed, NPM).untrusted
    places.outcome(observed, OFFICIAL)
    assert asked == [
        ("GET", "https://npm.test/pyodide/latest"), ("HEAD", "https://bundles.test/"),
    ]  # fmt: skip
    assert not Outcome(reach.Answer(200, {}, b"", 1)).untrusted


def test_what_stands_in_the_way(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(place: Place = NPM, **found: object) -> str | None:
        known = {name.replace("_", "."): one for name, one in found.items()}
        return places.blocked(Observed(session, known), place)  # type: ignore[arg-type]

    assert stop() is None
    assert stop(dns_system=failed("", missing={"npm.test": "x"})) == "dns.system"
    assert stop(dns_system=failed("", missing={"other.test": "x"})) is None
    assert stop(proxy_connect=failed("")) is None  # nothing goes through it
    assert stop(trust_chain=failed("", untrusted={"npm": "x"})) == "trust.chain"
    assert stop(OFFICIAL, direct_tcp=failed("")) == "direct.tcp"
    assert stop(OFFICIAL, direct_tcp=passed("")) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    assert stop(proxy_connect=failed("")) == "proxy.connect"
    assert stop(proxy_login=warned("")) is None
    assert stop(OFFICIAL, proxy_tunnel=failed("")) == "proxy.tunnel"


def test_a_proxy_that_cannot_be_read_is_none(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://x")
    assert places.upstreams(Observed(session), NPM) == []


def test_where_ipv6_leads_nowhere_ipv4_is_connected_to(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = Place("npm", f"https://npm.test:{port}/", "x")

        def chosen(*addresses: str) -> str:
            known = {"dns.system": passed("", addresses={"npm.test": list(addresses)})}
            return places.address(Observed(session, known), place)

        assert chosen("::ffff:127.0.0.1", "192.0.2.1") == ""  # it answers
        assert chosen("::1", "192.0.2.1") == "192.0.2.1"
        assert chosen("::1") == ""
        assert chosen("192.0.2.1") == ""
