import asyncio
from collections.abc import Callable

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import names, places
from pyodide_offline.features.doctor.finding import Finding, State, failed, passed, skipped
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Place
from pyodide_offline.network import doh, lookup
from pyodide_offline.network.answers import Answer, Record
from pyodide_offline.session import Session

HOST = "bundles.test"
OFFICIAL = Place("official", f"https://{HOST}/", "a test")


@pytest.fixture
def observed(session: Session, monkeypatch: pytest.MonkeyPatch) -> Observed:
    monkeypatch.setattr(places, "official", lambda _: OFFICIAL)
    monkeypatch.setattr(places, "npm", lambda _: Place("npm", "https://npm.test/", "a test"))
    monkeypatch.setattr(places, "pypi", lambda _: None)
    return Observed(session)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that says what the system's resolver knows."""

    def knows(**known: list[str]) -> None:
        async def addresses(name: str) -> list[str]:
            await asyncio.sleep(0)
            if (found := known.get(name.replace(".", "_"))) is None:
                raise NetworkError("no name server answers")
            return found

        monkeypatch.setattr(lookup, "addresses", addresses)

    return knows


def test_a_name_that_nobody_knows_blames_the_dns_and_says_what_to_type(
    observed: Observed, system: Callable[..., None]
) -> None:
    system(npm_test=["192.0.2.2"])
    found = names.system(observed)
    assert (found.state, found.blame) == (State.FAIL, "dns")
    assert found.summary == f"The system does not find {HOST}: no name server answers."
    assert found.fix == f"pyodide-offline resolve --compare {HOST}"
    assert found.evidence["addresses"] == {"npm.test": ["192.0.2.2"]}


def test_names_that_are_found_pass_with_their_addresses(
    observed: Observed, system: Callable[..., None]
) -> None:
    system(bundles_test=["192.0.2.1"], npm_test=["192.0.2.2"])
    found = names.system(observed)
    assert found.state is State.PASS
    assert found.evidence["addresses"] == {HOST: ["192.0.2.1"], "npm.test": ["192.0.2.2"]}


def test_behind_a_proxy_the_system_need_not_know_outside_names(
    observed: Observed, system: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    system()
    found = names.system(observed)
    assert found.state is State.PASS
    assert "the proxy looks names up" in found.summary


def test_a_resolver_over_https_that_answers_passes(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer(HOST, "A", (Record(HOST, "A", "192.0.2.1", 60),), 60)

    async def ask(*_: object) -> doh.Reply:
        return doh.Reply(answer, "dns.test", 12.3)

    monkeypatch.setattr(doh.Asker, "ask", ask)
    found = names.over_https(observed)
    assert (found.state, found.evidence["addresses"]) == (State.PASS, {HOST: ["192.0.2.1"]})


def test_resolvers_that_are_not_reached_blame_the_network(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> doh.Reply:
        raise NetworkError("No resolver could be asked over HTTPS.", why="All silent.")

    monkeypatch.setattr(doh.Asker, "ask", ask)
    found = names.over_https(observed)
    assert (found.state, found.blame, found.cause) == (State.FAIL, "network", "All silent.")
    assert found.evidence["unreachable"]


def test_a_resolver_that_fails_blames_the_dns(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> doh.Reply:
        raise doh.ResolverFailedError("SERVFAIL", {"dns.test": "SERVFAIL"})

    monkeypatch.setattr(doh.Asker, "ask", ask)
    found = names.over_https(observed)
    assert (found.state, found.blame) == (State.FAIL, "dns")
    assert "SERVFAIL" in found.summary


def test_without_a_proxy_there_is_no_third_way(observed: Observed) -> None:
    assert names.through_proxy(observed).state is State.SKIP


def compare(observed: Observed, **ways: Finding) -> Finding:
    found = {name.replace("__", ".").replace("_", "-"): one for name, one in ways.items()}
    return names.agree(Observed(observed.session, found, observed.facts))


def test_an_answer_that_leads_nowhere_is_told_from_a_real_one(observed: Observed) -> None:
    real = passed("yes", addresses={HOST: ["192.0.2.1"]})
    found = compare(observed, dns__system=passed("0", addresses={HOST: ["127.0.0.1"]}),
                    dns__https=real)  # fmt: skip
    assert (found.state, found.blame) == (State.FAIL, "dns")
    assert compare(observed, dns__system=real, dns__https=real).state is State.PASS


def test_where_only_one_way_was_tried_nothing_is_compared(observed: Observed) -> None:
    real = passed("yes", addresses={HOST: ["192.0.2.1"]})
    assert compare(observed, dns__system=real).state is State.SKIP
    both = compare(observed, dns__system=failed("no"), dns__https_proxy=skipped("none"))
    assert both.state is State.SKIP
