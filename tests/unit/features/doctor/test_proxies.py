"""The proxy checks' decisions; the protocol with real ones is in the scenes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places, proxies
from pyodide_offline.features.doctor.finding import Finding, State, passed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Place
from pyodide_offline.network import connect, refusals
from pyodide_offline.network.handshake import Refused
from pyodide_offline.network.proxies import Upstream, parse
from pyodide_offline.session import Session

PROXY = "http://me:hunter2@proxy.test:3128"


@dataclass
class Dialer:
    """Stands in for connect.dial_sync: ``error`` is raised, calls are counted."""

    error: Callable[[Upstream], NetworkError] | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, _: int, upstreams: list[Upstream], **__: object) -> object:
        self.asked.append(host)
        if self.error:
            raise self.error(upstreams[0])
        return connect.Dialed(None)

    def refuses(self, event: Refused) -> None:
        self.error = lambda upstream: refusals.refused("bundles.test", 443, upstream, event)


@pytest.fixture
def dialer(monkeypatch: pytest.MonkeyPatch) -> Dialer:
    made = Dialer()
    monkeypatch.setattr(connect, "dial_sync", made)
    return made


@pytest.fixture
def observed(session: Session, monkeypatch: pytest.MonkeyPatch) -> Observed:
    place = Place("official", "https://bundles.test/", "a test")
    monkeypatch.setattr(places, "official", lambda _: place)
    monkeypatch.setattr(places, "npm", lambda _: None)
    monkeypatch.setattr(places, "pypi", lambda _: None)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    return Observed(session)


def test_without_a_proxy_there_is_nothing_to_look_at(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    for check in proxies.CHECKS[:-1]:
        found = check.run(observed)
        assert (found.state, found.summary) == (State.SKIP, "No proxy is named.")


def test_the_settings_show_who_names_what_without_the_password(observed: Observed) -> None:
    found = proxies.settings(observed)
    assert found.state is State.PASS
    assert found.evidence["variables"] == {"HTTPS_PROXY": "http://proxy.test:3128"}
    assert found.evidence["credentials"] == {"http://proxy.test:3128": "HTTPS_PROXY"}
    assert "hunter2" not in repr(found)


def test_a_value_that_is_no_proxy_fails(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://me:hunter2@proxy.test")
    found = proxies.settings(observed)
    assert found.state is State.FAIL
    assert "hunter2" not in repr(found)


def test_two_spellings_with_two_values_are_a_warning(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://other.test:1")
    found = proxies.settings(observed)
    assert (found.state, found.fix) == (State.WARN, 'export HTTPS_PROXY="$https_proxy"')


def test_a_proxy_for_http_alone_is_a_warning(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    found = proxies.settings(observed)
    assert found.state is State.WARN
    assert "HTTPS_PROXY" in found.cause


LOGINS = [
    (Refused(407, login="missing", offered=("ntlm", "basic")), "missing"),
    (Refused(407, login="refused", offered=("basic",), tried="basic", source="x"), "refused"),
    (Refused(407, login="unknown", offered=("bearer",)), "unknown"),
]


@pytest.mark.parametrize(("event", "trouble"), LOGINS, ids=[one for _, one in LOGINS])
def test_a_407_is_the_logins_matter_with_the_schemes(
    observed: Observed, dialer: Dialer, event: Refused, trouble: str
) -> None:
    dialer.refuses(event)
    found = proxies.authentication(observed)
    assert (found.state, found.blame) == (State.FAIL, "proxy-auth")
    assert found.evidence["offered"] == event.offered
    assert "ntlm" in found.evidence["known_here"]  # type: ignore[operator]
    assert found.fix.startswith("export PYODIDE_OFFLINE_PROXY_USER") is (trouble == "missing")
    assert "hunter2" not in repr(found)


BLAMES = {
    403: "proxy-policy", 302: "proxy-policy", 200: "proxy-policy", 451: "proxy-policy",
    502: "network", 503: "network", 504: "network", 405: "network", 501: "network",
}  # fmt: skip


@pytest.mark.parametrize(("status", "blame"), BLAMES.items())
def test_a_refusal_is_policy_only_where_the_answer_says_so(
    observed: Observed, dialer: Dialer, status: int, blame: str
) -> None:
    dialer.refuses(Refused(status, "No", title="Ask IT"))
    assert proxies.authentication(observed).state is State.PASS
    found = proxies.tunnel(observed)
    assert (found.state, found.blame) == (State.FAIL, blame)
    assert (found.evidence["status"], found.evidence["title"]) == (status, "Ask IT")
    assert dialer.asked == ["bundles.test"]  # one CONNECT for both


def test_what_speaks_no_http_is_no_proxy(observed: Observed, dialer: Dialer) -> None:
    dialer.refuses(Refused(0, problem="What it answers is not HTTP."))
    found = proxies.authentication(observed)
    assert (found.state, found.blame) == (State.FAIL, "network")


def test_a_tunnel_passes(observed: Observed, dialer: Dialer) -> None:
    assert proxies.tunnel(observed).state is State.PASS
    assert proxies.tls(observed).state is State.PASS
    assert "login from HTTPS_PROXY" in proxies.authentication(observed).summary


def test_a_proxy_named_as_https_that_is_silent_in_tls_is_told_so(
    observed: Observed, dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://proxy.test:3128")
    dialer.error = lambda upstream: refusals.unreachable("x", 443, upstream, "silent")
    found = proxies.tls(observed)
    assert (found.state, found.fix) == (
        State.FAIL, "export HTTPS_PROXY=http://proxy.test:3128",
    )  # fmt: skip


def test_an_address_that_is_refused_matters_only_where_the_name_is_too(
    observed: Observed, dialer: Dialer
) -> None:
    def by_address(tunnel: State) -> State:
        known = {
            "dns.https": passed("", addresses={"bundles.test": ["192.0.2.1"]}),
            "proxy.tunnel": Finding(tunnel, ""),
        }
        return proxies.by_address(Observed(observed.session, known)).state

    dialer.refuses(Refused(403))
    assert by_address(State.PASS) is State.PASS
    assert by_address(State.FAIL) is State.WARN
    assert dialer.asked == ["192.0.2.1"] * 2


def test_what_is_wrong_with_a_proxy_that_nothing_is_sent_through_is_a_warning(
    observed: Observed, dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://other.test:8080")

    def error(upstream: Upstream) -> NetworkError:
        return refusals.refused("x", 443, upstream, Refused(407, login="unknown"))

    good = parse(PROXY, "HTTPS_PROXY")
    dialer.error = error
    monkeypatch.setattr(
        proxies, "_dial",
        lambda _, one, __="": proxies._Dial(None if one.host == good.host else error(one)),
    )  # fmt: skip
    found = proxies.authentication(observed)
    assert (found.state, found.blame) == (State.WARN, "proxy-auth")
    assert "http://other.test:8080" in found.evidence["others"]  # type: ignore[operator]
