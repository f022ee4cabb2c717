"""Proxy-Authenticate headers, in all the forms that proxies send."""

import pytest

from pyodide_offline.network.challenges import Challenge, parse


def _digest(*params: tuple[str, str]) -> Challenge:
    return Challenge("digest", params=params)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], []),
        (["Negotiate"], [Challenge("negotiate")]),
        (["NTLM TlRMTVNTUAAC=="], [Challenge("ntlm", "TlRMTVNTUAAC==")]),
        (["Negotiate, NTLM"], [Challenge("negotiate"), Challenge("ntlm")]),
        (["NTLM", "Negotiate"], [Challenge("ntlm"), Challenge("negotiate")]),
        (['Basic realm="a, b"'], [Challenge("basic", params=(("realm", "a, b"),))]),
        (["Basic realm=plain"], [Challenge("basic", params=(("realm", "plain"),))]),
        (
            ['Digest realm="r", nonce="n\\"1", qop="auth,auth-int", stale=FALSE, Basic realm="b"'],
            [
                _digest(
                    ("realm", "r"), ("nonce", 'n"1'), ("qop", "auth,auth-int"), ("stale", "FALSE")
                ),
                Challenge("basic", params=(("realm", "b"),)),
            ],
        ),
        (
            ['NTLM abc=, Digest Realm = "r",NONCE=n , Negotiate def=='],
            [
                Challenge("ntlm", "abc="),
                _digest(("realm", "r"), ("nonce", "n")),
                Challenge("negotiate", "def=="),
            ],
        ),
        ([", ,Basic,,"], [Challenge("basic")]),
        (['realm="lost", Basic'], [Challenge("basic")]),
        (['"junk", Basic'], [Challenge("basic")]),
    ],
)
def test_challenges_are_told_apart(headers: list[str], wanted: list[Challenge]) -> None:
    assert parse(headers) == wanted


def test_a_quote_that_never_ends_spoils_only_its_header() -> None:
    first, *rest = parse(['Basic realm="never ends', "NTLM"])
    assert first == Challenge("basic")
    assert rest[-1] == Challenge("ntlm")


def test_of_a_parameter_that_comes_twice_the_first_counts() -> None:
    (challenge,) = parse(["Digest nonce=a, nonce=b"])
    assert challenge.get("nonce") == "a"
    assert challenge.get("realm") is None


def test_a_long_line_takes_no_long_time() -> None:
    assert len(parse(["a " * 30_000])) < 40_000
    assert parse(['Basic realm="' + "\\" * 60_000]) is not None
