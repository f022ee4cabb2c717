"""What is said of answers side by side."""

import pytest

from pyodide_offline.network.agreement import View, sentence

OUT, OTHER, MORE, INSIDE = "93.184.216.34", "93.184.216.99", "93.184.216.7", "10.1.2.3"


def view(way: str, *addresses: str, unreachable: bool = False) -> View:
    return View(way, addresses, "" if addresses else "not found", unreachable)


@pytest.mark.parametrize(
    ("system", "doh", "proxied", "says"),
    [
        ([OUT], [OUT], [OUT], "system, DoH and DoH through the proxy agree."),
        ([OUT, OTHER], [OTHER, OUT], [OUT, OTHER], "agree."),
        ([OUT], [OTHER], [OUT], "system and DoH differ in all"),
        ([OUT, MORE], [OTHER, MORE], [OUT, MORE], "system and DoH differ in part"),
        ([INSIDE], [OUT], [OUT], "split DNS"),
        ([INSIDE], [], [], "split DNS"),
        (["fd00::1"], [OUT], [OUT], "split DNS"),
        (["127.0.0.1", "::1"], [OUT], [OUT], "perhaps a line in the hosts file"),
        (["10.0.0.1"], ["10.0.0.2"], ["10.0.0.2"], "differ in all"),
        ([OUT], [], [OUT], "an address only by system and DoH through the proxy, none by DoH."),
        ([], [OUT], [OUT], "no address by the system, but by DoH and DoH through the proxy;"),
        ([], [], [], "no address by any way."),
        (["fe80::1%eth0"], ["fe80::1%eth0"], ["fe80::1%eth0"], "agree."),
    ],
)
def test_a_sentence_says_where_they_differ(
    system: list[str], doh: list[str], proxied: list[str], says: str
) -> None:
    views = [
        view("system", *system),
        view("DoH", *doh),
        view("DoH through the proxy", *proxied),
    ]
    assert says in sentence("a.example", views)


def test_a_way_on_which_nobody_answers_is_no_difference() -> None:
    silent = view("DoH", unreachable=True)
    said = sentence("a", [view("system", OUT), silent, view("DoH through the proxy", OUT)])
    assert said == "a: system and DoH through the proxy agree. No answer by DoH."
    assert "nothing to compare" in sentence("a", [view("system", OUT), silent])
