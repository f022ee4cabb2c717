import socket

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import direct, places
from pyodide_offline.features.doctor.finding import Finding, State, failed, passed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Outcome, Place
from pyodide_offline.network import reach, sockets
from pyodide_offline.session import Session

HOST = "bundles.test"


@pytest.fixture
def observed(session: Session, monkeypatch: pytest.MonkeyPatch) -> Observed:
    place = Place("official", f"https://{HOST}/", "a test")
    monkeypatch.setattr(places, "official", lambda _: place)
    return Observed(session, {"dns.system": passed("", addresses={HOST: ["192.0.2.1", "2001::1"]})})


def failing(monkeypatch: pytest.MonkeyPatch, error: OSError | None, *families: int) -> None:
    async def open_raw(host: str, port: int, family: int = 0) -> socket.socket:
        assert (host, port) == (HOST, 443)
        if error is not None and (not families or family in families):
            raise error
        return socket.socket()

    monkeypatch.setattr(sockets, "open_raw", open_raw)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "refuses the connection"),
        (TimeoutError(), "does not answer"),
        (OSError(113, "No route to host"), "cannot be reached (No route to host)"),
    ],
)
def test_a_connection_that_fails_says_how(
    observed: Observed, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    failing(monkeypatch, error)
    found = direct.tcp(observed)
    assert (found.state, found.blame) == (State.FAIL, "network")
    assert words in found.summary


def test_a_connection_passes(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, None)
    assert direct.tcp(observed).state is State.PASS


def test_without_an_address_nothing_is_tried(session: Session, observed: Observed) -> None:
    assert direct.tcp(Observed(session)).state is State.SKIP


def test_ipv6_that_hangs_beside_ipv4_that_works_is_a_warning(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "_has_ipv6", lambda: True)
    failing(monkeypatch, TimeoutError(), socket.AF_INET6)
    found = {**observed.found, "direct.tcp": passed("")}
    assert direct.ipv6(Observed(observed.session, found)).state is State.WARN
    found["direct.tcp"] = failed("")
    assert direct.ipv6(Observed(observed.session, found)).state is State.FAIL
    monkeypatch.setattr(direct, "_has_ipv6", lambda: False)
    assert direct.ipv6(observed).state is State.SKIP


def official(observed: Observed, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> Finding:
    monkeypatch.setattr(places, "outcome", lambda *_: outcome)
    return direct.official(observed)


def test_the_official_host_that_answers_anything_passes(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = official(observed, monkeypatch, Outcome(reach.Answer(404, {}, b"", 5)))
    assert (found.state, found.evidence["status"]) == (State.PASS, 404)


def test_the_official_host_that_does_not_answer_fails(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = NetworkError("It is mute.", facts={"stage": "mute"})
    found = official(observed, monkeypatch, Outcome(error=error))
    assert (found.state, found.summary, found.blame) == (State.FAIL, "It is mute.", "network")


def test_behind_what_failed_before_it_is_not_asked(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Observed(observed.session, {"direct.tcp": failed("")}, observed.facts)
    found = official(before, monkeypatch, Outcome())
    assert (found.state, found.evidence["needs"]) == (State.SKIP, "direct.tcp")
