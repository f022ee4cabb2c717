"""Where user and password come from, and which scheme is taken."""

import base64
from pathlib import Path

import pytest

from pyodide_offline.network import login
from pyodide_offline.network.challenges import Challenge, parse
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.login import CannotLogInError, Tokens, choose

_JOE = Credentials("joe", "s3cret")
_ALL = 'Basic realm=a, Digest realm=a, nonce=n, qop=auth, NTLM, Negotiate, Bearer realm="a"'


@pytest.mark.parametrize(
    ("offer", "without", "scheme"),
    [
        (_ALL, (), "negotiate"),
        (_ALL, ("negotiate",), "ntlm"),
        (_ALL, ("negotiate", "ntlm"), "digest"),
        (_ALL, ("negotiate", "ntlm", "digest"), "basic"),
        (_ALL, login.SCHEMES, None),
        ("Digest realm=a, nonce=n, qop=auth-int, Basic", (), "basic"),
        ("Bearer, Kerberos", (), None),
    ],
)
def test_the_strongest_scheme_that_both_can_do(offer: str, without, scheme: str | None) -> None:
    chosen = choose(parse([offer]), _JOE, without=without)
    assert (chosen.scheme if chosen else None) == scheme


def test_a_user_without_a_password_can_only_have_a_ticket() -> None:
    alone = Credentials("joe", "", complete=False)
    assert choose(parse(["Basic realm=a, NTLM"]), alone) is None
    chosen = choose(parse([_ALL]), alone)
    assert chosen
    assert chosen.scheme == "negotiate"


def test_without_a_user_there_is_only_the_systems_login() -> None:
    nobody = Credentials("", "")
    chosen = choose(parse([_ALL]), nobody)
    assert chosen
    assert chosen.scheme == "negotiate"
    assert choose(parse(["Basic, NTLM"]), nobody) is None
    assert choose(parse([_ALL]), None) is None


def test_basic_is_said_once_in_utf8_and_not_for_a_user_with_a_colon() -> None:
    basic = choose(parse(["Basic"]), Credentials("jörg", "a:b"))
    assert basic
    assert (
        basic.step(Challenge("basic")) == "Basic " + base64.b64encode("jörg:a:b".encode()).decode()
    )
    assert basic.proved
    assert basic.step(Challenge("basic")) is None
    assert choose(parse(["Basic"]), Credentials("a:b", "c")) is None


@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
@pytest.mark.parametrize("password", ["s3cret", "wrong"])
def test_ntlm_and_negotiate_against_a_server(
    scheme: str, password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spnego
    import spnego.exceptions

    users = tmp_path / "users"
    users.write_text("CORP:joe:s3cret\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    server = spnego.server(protocol=scheme)

    def ask(value: str | None) -> str:
        assert value is not None
        name, _, token = value.partition(" ")
        assert name.lower() == scheme
        return base64.b64encode(server.step(base64.b64decode(token)) or b"").decode()

    client = Tokens(scheme, Credentials("CORP\\joe", password), "proxy")
    second = ask(client.step(Challenge(scheme)))
    assert not client.proved
    proof = client.step(Challenge(scheme, second))
    assert client.proved
    if password == "wrong":
        with pytest.raises(spnego.exceptions.SpnegoError):
            ask(proof)
    else:
        ask(proof)
        assert server.complete
    assert client.step(Challenge(scheme)) is None


@pytest.mark.parametrize("token", ["!!!", "AAAA", base64.b64encode(b"NTLMSSP\0\2\0\0\0").decode()])
def test_a_broken_token_is_not_a_crash(token: str) -> None:
    client = Tokens("ntlm", Credentials("joe", "s3cret"), "proxy")
    assert client.step(Challenge("ntlm"))
    with pytest.raises(CannotLogInError):
        client.step(Challenge("ntlm", token))
    assert not client.proved


def test_without_a_ticket_the_systems_login_cannot_be_done() -> None:
    with pytest.raises(CannotLogInError):
        Tokens("negotiate", Credentials("", ""), "proxy.invalid").step(Challenge("negotiate"))
