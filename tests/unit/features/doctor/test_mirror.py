"""What a mirror's answers mean; what stands in for what where one is named."""

from dataclasses import replace

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import direct, mirror, names, places
from pyodide_offline.features.doctor.finding import Finding, State, failed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import mirrored, reach
from pyodide_offline.session import Session

URL = "https://mirror.test:8443"


@pytest.fixture
def named(session: Session) -> Observed:
    environ = {**session.environ, **mirrored.environment(session.store, {}, mirrored.parse(URL))}
    return Observed(replace(session, environ=environ))


def answer(status: int = 200, kind: str = "application/json", **headers: str) -> reach.Answer:
    told = {"content-type": kind, **{key.replace("_", "-"): one for key, one in headers.items()}}
    return reach.Answer(status, told, b"{}", 5)


def asked(
    monkeypatch: pytest.MonkeyPatch, outcome: reach.Answer | NetworkError
) -> list[tuple[str, object]]:
    seen: list[tuple[str, object]] = []

    def ask(url: str, upstreams: object, **more: object) -> reach.Answer:
        assert not upstreams
        seen.append((url, more["headers"]))
        if isinstance(outcome, NetworkError):
            raise outcome
        return outcome

    monkeypatch.setattr(reach, "ask", ask)
    return seen


def test_where_none_is_named_there_is_nothing_to_look_at(session: Session) -> None:
    for check in mirror.CHECKS:
        assert check.run(Observed(session)).state is State.SKIP


@pytest.mark.parametrize(
    ("outcome", "state", "blame"),
    [
        (answer(), State.PASS, None),
        (answer(kind="text/html"), State.FAIL, "network"),
        (answer(404), State.FAIL, "network"),
        (NetworkError("No.", facts={"stage": "name"}), State.FAIL, "dns"),
        (NetworkError("No.", facts={"stage": "untrusted"}), State.FAIL, "network"),
        (NetworkError("No.", facts={"stage": "refused"}), State.FAIL, "network"),
    ],
)
def test_what_its_health_means(
    named: Observed,
    monkeypatch: pytest.MonkeyPatch,
    outcome: reach.Answer | NetworkError,
    state: State,
    blame: str | None,
) -> None:
    seen = asked(monkeypatch, outcome)
    found = mirror.answers(named)
    assert (found.state, found.blame) == (state, blame)
    assert state is State.PASS or found.fix
    assert seen == [(f"{URL}/healthz", {})]


@pytest.mark.parametrize(
    ("outcome", "state", "says"),
    [
        (answer(), State.PASS, "wants no token"),
        (answer(401), State.FAIL, "lets nobody in"),
        (answer(404), State.FAIL, "answers 404"),
        (answer(502), State.FAIL, "answers 502"),
        (answer(warning='110 - "Response is Stale"'), State.WARN, "are old"),
        (answer(warning='111 - "x"', age="600"), State.WARN, "are 10 minutes old"),
        (
            answer(warning='111 - "Revalidation failed: this mirror is offline"'),
            State.PASS,
            "holds",
        ),
        (answer(warning='214 - "Transformation Applied"'), State.PASS, "fresh"),
        (NetworkError("It breaks."), State.FAIL, "It breaks"),
    ],
)
def test_what_an_index_of_it_means(
    named: Observed,
    monkeypatch: pytest.MonkeyPatch,
    outcome: reach.Answer | NetworkError,
    state: State,
    says: str,
) -> None:
    asked(monkeypatch, outcome)
    found = mirror.serves(named)
    assert found.state is state
    assert says in found.summary


def test_a_last_change_long_ago_is_told_in_hours(
    named: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "Thu, 01 Jan 2015 00:00:00 GMT"
    asked(monkeypatch, answer(warning="110 - x", last_modified=old))
    assert "hours old" in mirror.serves(named).summary


def test_its_token_is_sent(named: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {**named.environ, mirrored.TOKEN_VARIABLE: "s3cret"}
    seen = asked(monkeypatch, answer(401))
    found = mirror.serves(Observed(replace(named.session, environ=environ)))
    assert seen[0][1] == {"Authorization": "Bearer s3cret"}
    assert "does not take" in found.cause
    assert "s3cret" not in str(found)


def test_it_stands_in_for_the_bundles_host_and_both_registries(named: Observed) -> None:
    for place in (places.official(named), places.npm(named), places.pypi(named)):
        assert place is not None
        assert places.mirrors(named, place)
        assert (place.host, place.port) == ("mirror.test", 8443)


@pytest.mark.parametrize("id_", ["mirror.answers", "mirror.serves"])
def test_what_hangs_on_it_is_not_asked_where_it_fails(named: Observed, id_: str) -> None:
    after = Observed(named.session, {id_: failed("No.")})
    npm = places.npm(named)
    assert npm is not None
    assert places.obstacle(after, npm) == id_
    assert places.obstacle(named, npm) is None


@pytest.mark.parametrize("check", [direct.tcp, direct.ipv6, names.over_https])
def test_nobody_beside_it_is_looked_for(named: Observed, check: object) -> None:
    found = check(named)  # type: ignore[operator]
    assert isinstance(found, Finding)
    assert found.state is State.SKIP
