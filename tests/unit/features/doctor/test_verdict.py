from dataclasses import replace
from typing import get_args

from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import (
    Blame,
    Finding,
    State,
    failed,
    passed,
    skipped,
    warned,
)
from pyodide_offline.features.doctor.verdict import (
    BLAMED,
    RUN,
    Word,
    registries_only,
    verdict,
    weigh,
)


def at(name: str, finding: Finding) -> Finding:
    return replace(finding, id=name)


def test_every_blame_has_its_place_and_is_a_word() -> None:
    assert set(BLAMED) == set(get_args(Blame))
    assert set(BLAMED) < set(get_args(Word))


def test_nothing_wrong_is_ok() -> None:
    said = verdict([at("a.a", passed("yes")), at("a.b", skipped("nothing there"))])
    assert (said.word, said.blames) == ("ok", ())


def test_nothing_looked_at_is_incomplete() -> None:
    assert verdict([at("a.a", skipped("left out"))]).word == "incomplete"


def test_a_failure_is_blamed_with_its_sentence_and_its_command() -> None:
    said = verdict([at("a.a", failed("The name is not found.", fix="export A=1", blame="dns"))])
    assert (said.word, said.sentence) == ("dns", "The name is not found.")
    assert said.way == "Type this: export A=1"
    assert said.blames == ("a.a",)


def test_of_several_the_nearest_is_the_word_and_all_are_named() -> None:
    said = verdict(
        [
            at("n.n", failed("No way.", blame="network")),
            at("p.l", failed("Login refused.", blame="proxy-auth")),
            at("d.d", failed("No name.", blame="dns")),
        ]
    )
    assert said.word == "proxy-auth"
    assert said.sentence == "Login refused. (and 2 more)"
    assert said.blames == ("p.l", "d.d", "n.n")


def test_a_failure_without_evidence_blames_nobody() -> None:
    said = verdict([at("a.a", failed("Odd."))])
    assert (said.word, said.blames) == ("incomplete", ("a.a",))


def test_what_took_too_long_is_incomplete_and_named() -> None:
    late = Finding(State.TIMEOUT, "No end.", id="d.s")
    said = verdict([at("a.a", passed("yes")), late])
    assert said.word == "incomplete"
    assert "d.s" in said.sentence


def test_a_warning_degrades() -> None:
    said = verdict([at("a.a", passed("yes")), at("a.b", warned("Slow.", fix="unset A"))])
    assert (said.word, said.sentence, said.way) == ("degraded", "Slow.", "Type this: unset A")


def test_a_failure_that_is_spared_is_a_warning_with_the_reason() -> None:
    def never(_: object) -> Finding:
        raise AssertionError

    checks = [Check("d.s", "?", never, spared_by=("registry.npm",)), Check("a.a", "?", never)]
    lost = [at("d.s", failed("No name.", blame="dns")), at("registry.npm", passed("It answers."))]
    weighed = weigh(checks, lost)
    assert weighed[0].state is State.WARN
    assert weighed[0].evidence["spared_by"] == ["registry.npm"]
    lost[1] = at("registry.npm", failed("It does not."))
    assert weigh(checks, lost)[0].state is State.FAIL


def test_only_registries_in_reach_is_said_so_and_run_works() -> None:
    found = [
        at("route.official", warned("Not reached.")),
        at("registry.npm", passed("It answers.")),
    ]
    assert registries_only(found)
    said = verdict(found)
    assert said.word == "degraded"
    assert "`run` will work" in said.sentence
    assert said.way == f"`{RUN}` works: the registries answer, and it takes the bundle from npm."


def test_run_works_from_a_full_store_whatever_the_network() -> None:
    found = [
        at("bundle.ready", passed("It is there.")),
        at("d.s", failed("No name.", blame="dns")),
    ]
    assert verdict(found).way == f"`{RUN}` works: all that it needs is in the store."


def test_run_is_not_promised_where_a_program_or_the_cache_is_broken() -> None:
    found = [
        at("bundle.ready", passed("It is there.")),
        at("c.f", failed("A bad file.", fix="pyodide-offline cache verify", blame="cache")),
    ]
    assert verdict(found).way == "Type this: pyodide-offline cache verify"


def test_what_is_no_command_is_not_to_be_typed() -> None:
    said = verdict([at("a.a", failed("Blocked.", fix="Ask IT.", blame="proxy-policy"))])
    assert said.way == "Next: Ask IT."


def test_a_failure_that_nobody_misses_is_a_skip_with_the_reason() -> None:
    def never(_: object) -> Finding:
        raise AssertionError

    checks = [Check("dns.https", "?", never, unneeded_with=("dns.system",))]
    found = [at("dns.https", failed("Nobody.")), at("dns.system", passed("yes"))]
    weighed = weigh(checks, found)
    assert weighed[0].state is State.SKIP
    assert weighed[0].summary == "Nobody. Not needed: dns.system passed."


def test_without_npm_the_index_alone_lets_run_work() -> None:
    found = [
        at("route.official", skipped("not reached")),
        at("registry.npm", skipped("no npm yet")),
        at("registry.pypi", passed("It answers.")),
    ]
    assert registries_only(found)
