import threading
from collections.abc import Callable

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import graph
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, State, failed, passed, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.session import Session


def good(_: Observed) -> Finding:
    return passed("yes")


def bad(_: Observed) -> Finding:
    return failed("no")


def check(
    name: str, run: Callable[[Observed], Finding] = good, *needs: str, seconds: float = 30
) -> Check:
    return Check(name, "?", run, needs=needs, seconds=seconds)


def test_findings_come_in_the_order_of_the_checks_with_id_and_time(session: Session) -> None:
    found = graph.run([check("a.b", good, "a.a"), check("a.a")], session)
    assert [one.id for one in found] == ["a.b", "a.a"]
    assert all(one.state is State.PASS and one.seconds >= 0 for one in found)


def test_a_check_sees_what_it_needs(session: Session) -> None:
    def first(_: Observed) -> Finding:
        return warned("well", port=3128)

    def second(observed: Observed) -> Finding:
        return passed(f"port {observed.evidence('a.a')['port']}")

    found = graph.run([check("a.b", second, "a.a"), check("a.a", first)], session)
    assert found[0].summary == "port 3128"


def test_what_needs_a_failure_is_skipped_and_names_the_root(session: Session) -> None:
    found = graph.run(
        [check("a.a", bad), check("a.b", good, "a.a"), check("a.c", good, "a.b"), check("b.a")],
        session,
    )
    assert [one.state for one in found] == [State.FAIL, State.SKIP, State.SKIP, State.PASS]
    assert found[1].summary == found[2].summary == "Needs a.a, which failed."
    assert found[2].evidence == {"needs": "a.a"}


def test_a_skip_that_there_was_nothing_to_look_at_passes_on_its_words(session: Session) -> None:
    nothing = Finding(State.SKIP, "No proxy is named.")
    found = graph.run([check("p.a", lambda _: nothing), check("p.b", good, "p.a")], session)
    assert found[1].state is State.SKIP
    assert found[1].summary == "No proxy is named."


def test_after_waits_for_an_end_of_any_kind(session: Session) -> None:
    seen: list[State] = []

    def late(observed: Observed) -> Finding:
        seen.append(observed.found["a.a"].state)
        return passed("yes")

    graph.run([Check("a.b", "?", late, after=("a.a", "not.chosen")), check("a.a", bad)], session)
    assert seen == [State.FAIL]


def test_independent_checks_run_at_the_same_time(session: Session) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meets(_: Observed) -> Finding:
        meeting.wait()
        return passed("met")

    found = graph.run([check(f"a.{name}", meets) for name in "abc"], session, total=60)
    assert {one.state for one in found} == {State.PASS}


def test_a_check_without_end_is_a_timeout_and_the_others_go_on(session: Session) -> None:
    def endless(_: Observed) -> Finding:
        threading.Event().wait(60)
        return passed("never")

    checks = [check("a.a", endless, seconds=0.05), check("a.b", good, "a.a"), check("b.a")]
    found = graph.run(checks, session)
    assert [one.state for one in found] == [State.TIMEOUT, State.SKIP, State.PASS]
    assert found[1].summary == "Needs a.a, which took too long."


def test_the_whole_has_an_end_too(session: Session) -> None:
    def endless(_: Observed) -> Finding:
        threading.Event().wait(60)
        return passed("never")

    checks = [check("a.a", endless), check("a.b", good, "a.a")]
    found = graph.run(checks, session, total=0.05)
    assert [one.state for one in found] == [State.TIMEOUT, State.TIMEOUT]
    assert "Not begun" in found[1].summary


def test_an_error_of_ours_is_a_failure_in_its_words(session: Session) -> None:
    def raises(_: Observed) -> Finding:
        raise NetworkError("It is not there.", why="Gone.", next_step="Wait.")

    found = graph.run([check("a.a", raises)], session)[0]
    assert (found.state, found.summary, found.cause, found.fix) == (
        State.FAIL, "It is not there.", "Gone.", "Wait.",
    )  # fmt: skip


def test_a_fault_of_one_check_does_not_cost_the_others(session: Session) -> None:
    def breaks(_: Observed) -> Finding:
        raise ZeroDivisionError("by zero")

    found = graph.run([check("a.a", breaks), check("b.a")], session)
    assert found[0].state is State.FAIL
    assert "ZeroDivisionError" in found[0].summary
    assert found[1].state is State.PASS


def test_what_is_left_out_is_skipped_and_so_is_what_needs_it(session: Session) -> None:
    ran: list[str] = []

    def runs(_: Observed) -> Finding:
        ran.append("a.a")
        return passed("yes")

    checks = [check("a.a", runs), check("a.b", good, "a.a")]
    found = graph.run(checks, session, without=["a.a"])
    assert [one.summary for one in found] == ["Left out by --skip."] * 2
    assert ran == []


def test_findings_are_heard_as_they_come(session: Session) -> None:
    heard: list[str] = []
    graph.run(
        [check("a.b", good, "a.a"), check("a.a")], session, heard=lambda one: heard.append(one.id)
    )
    assert heard == ["a.a", "a.b"]


def test_a_circle_is_a_fault_and_no_endless_wait(session: Session) -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        graph.run([check("a.a", good, "a.b"), check("a.b", good, "a.a")], session)


def test_the_closure_brings_what_is_needed_and_a_domain_brings_all_of_it() -> None:
    checks = [check("a.a"), check("a.b", good, "a.a"), check("b.a", good, "a.b"), check("c.a")]
    assert [one.id for one in graph.closure(checks, ["b.a"])] == ["a.a", "a.b", "b.a"]
    assert [one.id for one in graph.closure(checks, ["a", "c.a"])] == ["a.a", "a.b", "c.a"]
    with pytest.raises(KeyError, match="nothing"):
        graph.closure(checks, ["nothing"])
