"""From one 407 to the next header."""

import pytest

from pyodide_offline.network.challenges import Challenge, parse
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.rounds import MAX_ROUNDS, GivenUp, Rounds

_JOE = Credentials("joe", "s3cret", "HTTPS_PROXY")


def _rounds(credentials: Credentials | None = _JOE) -> Rounds:
    return Rounds(lambda: credentials, target="example.com:443", proxy_host="proxy")


def test_user_and_password_are_looked_up_once_and_only_when_asked_for() -> None:
    asked: list[int] = []

    def find() -> Credentials:
        asked.append(1)
        return _JOE

    rounds = Rounds(find, target="a:1", proxy_host="proxy")
    assert (asked, rounds.source, rounds.scheme, rounds.proving) == ([], "", "", False)
    for _ in range(2):
        rounds.answer(parse(["Basic"]), closing=False)
    assert (asked, rounds.source, rounds.scheme, rounds.proving) == (
        [1],
        "HTTPS_PROXY",
        "basic",
        True,
    )


@pytest.mark.parametrize(
    ("offer", "credentials", "trouble"),
    [
        ("Basic", None, "missing"),
        ("Basic", Credentials("", ""), "missing"),
        ("Negotiate", Credentials("", ""), "missing"),
        ("Bearer", _JOE, "unknown"),
        ("Bearer", None, "unknown"),
        ("", _JOE, "unknown"),
    ],
)
def test_why_there_is_no_answer(offer: str, credentials: Credentials | None, trouble) -> None:
    assert _rounds(credentials).answer(parse([offer]), closing=False) == GivenUp(trouble)


@pytest.mark.parametrize("again", ["Basic, Digest nonce=n", "Digest nonce=n"])
def test_a_refused_proof_is_the_end_even_where_other_schemes_are_left(again: str) -> None:
    rounds = _rounds()
    assert rounds.answer(parse(["Digest nonce=n, Basic"]), closing=False) is None
    assert str(rounds.authorization).startswith("Digest ")
    assert rounds.answer(parse([again]), closing=False) == GivenUp("refused")


def test_a_scheme_that_comes_to_nothing_before_a_proof_gives_way_to_the_next() -> None:
    rounds = _rounds()
    offer = parse(["Negotiate, NTLM, Basic"])
    assert rounds.answer(offer, closing=True) is None  # no token yet: may change connections
    assert rounds.scheme == "negotiate"
    assert rounds.answer(offer, closing=False) is None
    assert rounds.scheme == "ntlm"
    broken = [Challenge("ntlm", "AAAA"), Challenge("basic")]
    assert rounds.answer(broken, closing=False) is None
    assert rounds.scheme == "basic"
    assert rounds.answer(offer, closing=False) == GivenUp("refused")


def test_an_endless_row_of_challenges_ends() -> None:
    rounds = _rounds()
    answers = [rounds.answer(parse(["Basic"]), closing=False) for _ in range(MAX_ROUNDS + 1)]
    assert answers[0] is None
    assert answers[1] == GivenUp("refused")
    assert answers[-1] is not None
    assert "more than" in answers[-1].problem


def test_the_scheme_of_the_last_time_is_begun_at_once() -> None:
    rounds = _rounds()
    rounds.expect("basic")
    assert rounds.authorization
    assert rounds.proving
    assert rounds.answer(parse(["Basic"]), closing=False) == GivenUp("refused")
    for scheme in ("digest", "unknown"):  # the first needs a nonce
        rounds = _rounds()
        rounds.expect(scheme)
        assert rounds.authorization is None
    nobody = _rounds(Credentials("", ""))
    nobody.expect("negotiate")
    assert nobody.authorization is None


def test_the_stronger_digest_of_two_is_answered() -> None:
    rounds = _rounds()
    offer = parse(["Digest nonce=a, algorithm=MD5", "Digest nonce=b, algorithm=SHA-256"])
    assert rounds.answer(offer, closing=False) is None
    assert "algorithm=SHA-256" in str(rounds.authorization)
