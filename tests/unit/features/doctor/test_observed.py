import threading

import pytest

from pyodide_offline.features.doctor.finding import passed
from pyodide_offline.features.doctor.observed import Facts, Observed
from pyodide_offline.session import Session


def test_a_fact_is_found_out_once_and_the_others_wait_for_it() -> None:
    facts, asked, go = Facts(), [], threading.Event()

    def find() -> str:
        asked.append(1)
        go.wait(10)
        return "it"

    heard: list[str] = []
    threads = [
        threading.Thread(target=lambda: heard.append(facts.once("x", find)), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert heard == ["it"] * 4
    assert asked == [1]


def test_what_could_not_be_found_out_is_told_to_everybody() -> None:
    facts, asked = Facts(), []

    def find() -> str:
        asked.append(1)
        raise ValueError("gone")

    for _ in range(2):
        with pytest.raises(ValueError, match="gone"):
            facts.once("x", find)
    assert asked == [1]


def test_one_fact_does_not_wait_for_another() -> None:
    facts = Facts()
    assert facts.once("a", lambda: facts.once("b", lambda: 2) + 1) == 3


def test_evidence_of_a_check_that_did_not_run_is_empty(session: Session) -> None:
    observed = Observed(session, {"a.b": passed("yes", port=1)})
    assert observed.evidence("a.b") == {"port": 1}
    assert observed.evidence("a.c") == {}
    assert observed.project == session.project
    assert observed.environ is session.environ
