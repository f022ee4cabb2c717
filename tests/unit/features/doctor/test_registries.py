import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import places, registries
from pyodide_offline.features.doctor.finding import Finding, State, failed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Outcome, Place
from pyodide_offline.network import reach
from pyodide_offline.session import Session

NPM = Place("npm", "https://npm.test/", "the variable npm_config_registry")


def ask(session: Session, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> Finding:
    monkeypatch.setattr(places, "npm", lambda _: NPM)
    monkeypatch.setattr(places, "outcome", lambda *_: outcome)
    return registries.npm(Observed(session))


def answer(status: int, kind: str = "application/json", body: bytes = b"{}") -> Outcome:
    return Outcome(reach.Answer(status, {"content-type": kind}, body, 5))


@pytest.mark.parametrize(
    ("outcome", "state", "blame"),
    [
        (answer(200), State.PASS, None),
        (answer(200, "text/html", b"<html>Blocked"), State.FAIL, "proxy-policy"),
        (answer(401), State.FAIL, "network"),
        (answer(403), State.FAIL, "network"),
        (answer(404), State.WARN, None),
        (answer(503), State.FAIL, "network"),
    ],
)
def test_what_an_answer_means(
    session: Session, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, state: State, blame: str
) -> None:
    found = ask(session, monkeypatch, outcome)
    assert (found.state, found.blame) == (state, blame)
    assert found.evidence["named_by"] == NPM.source


@pytest.mark.parametrize(
    ("facts", "blame"),
    [
        ({"stage": "refusal", "status": 403}, "proxy-policy"),
        ({"stage": "refusal", "status": 502}, "network"),
        ({"stage": "refusal", "status": 407, "login": "refused"}, "proxy-auth"),
        ({"stage": "name"}, "dns"),
        ({"stage": "name", "proxy": "http://p:1"}, "network"),
        ({"stage": "mute"}, "network"),
    ],
)
def test_whose_matter_an_error_is(
    session: Session, monkeypatch: pytest.MonkeyPatch, facts: dict[str, object], blame: str
) -> None:
    found = ask(session, monkeypatch, Outcome(error=NetworkError("No.", facts=facts)))
    assert (found.state, found.blame) == (State.FAIL, blame)


def test_what_nobody_names_is_skipped(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "npm", lambda _: None)
    monkeypatch.setattr(places, "pypi", lambda _: None)
    assert registries.npm(Observed(session)).state is State.SKIP
    assert registries.pypi(Observed(session)).state is State.SKIP


def test_behind_a_lookup_that_failed_it_is_not_asked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "npm", lambda _: NPM)
    lost = {"dns.system": failed("", missing={"npm.test": "not found"})}
    found = registries.npm(Observed(session, lost))
    assert (found.state, found.evidence["needs"]) == (State.SKIP, "dns.system")
