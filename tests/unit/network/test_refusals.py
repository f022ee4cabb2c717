"""What a user reads when a proxy says no."""

import pytest

from pyodide_offline import redact
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import refusals
from pyodide_offline.network.handshake import Refused
from pyodide_offline.network.proxies import parse

_PROXY = parse("http://joe:hunter2@proxy:3128", "https_proxy")


@pytest.mark.parametrize("status", [302, 401, 403, 405, 502, 503, 504, 599])
def test_each_status_names_the_proxy_the_target_and_who_named_it(status: int) -> None:
    error = refusals.refused("example.com", 443, _PROXY, Refused(status, "No", "Blocked"))
    assert "http://proxy:3128" in error.what
    assert f"example.com:443 through: {status} No." in error.what
    assert 'Its page says: "Blocked".' in error.why
    assert "https_proxy" in error.why
    assert error.next_step
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Refused(407, login="missing", offered=("ntlm",)), "It offers: ntlm."),
        (Refused(407, login="unknown", offered=("bearer",)), "known here: negotiate, ntlm"),
        (Refused(407, login="refused", tried="basic", source="~/.netrc"), "from ~/.netrc"),
        (Refused(407, problem="It asks again."), "It asks again."),
        (Refused(0, problem="What it answers is not HTTP."), "not HTTP"),
    ],
)
def test_logins_and_garbage(event: Refused, text: str) -> None:
    error = refusals.refused("example.com", 443, _PROXY, event)
    assert text in error.why
    assert error.next_step


@pytest.mark.parametrize(
    ("offered", "step"), [("negotiate", "kinit"), ("bearer", "Ask who runs the proxy")]
)
def test_kerberos_is_told_of_where_the_proxy_offers_it(offered: str, step: str) -> None:
    event = Refused(407, login="unknown", offered=(offered,))
    error = refusals.refused("example.com", 443, _PROXY, event)
    assert step in redact.text(error.next_step)


def test_without_a_proxy_the_variable_that_would_name_one_is_told() -> None:
    error = refusals.unreachable("example.com", 443, None, "silent")
    assert error.what == "example.com:443 does not answer."
    assert "HTTPS_PROXY" in error.next_step


def test_the_last_error_tells_of_those_before() -> None:
    error = refusals.last_of([NetworkError("A is down."), NetworkError("B is down.", why="Why.")])
    assert error.what == "B is down."
    assert error.why == "Why. Before it: A is down."


def test_what_a_proxy_said_is_kept_as_facts() -> None:
    event = Refused(403, "Forbidden", title="Blocked")
    facts = refusals.refused("a.example", 443, _PROXY, event).facts
    assert (facts["stage"], facts["status"], facts["title"]) == ("refusal", 403, "Blocked")
    assert "hunter2" not in str(facts)
    assert refusals.unreachable("a.example", 443, None, "silent").facts["stage"] == "silent"
    again = refusals.last_of([refusals.unreachable("a.example", 443, _PROXY, "refused")] * 2)
    assert again.facts["stage"] == "refused"
