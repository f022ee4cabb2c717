"""Where user and password come from, and which scheme is taken."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import login
from pyodide_offline.network.challenges import Challenge, parse
from pyodide_offline.network.login import CannotLogInError, Credentials, Tokens, choose, find
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.proxies import parse as proxy

_SET = {login.USER_VARIABLE: "env", login.PASSWORD_VARIABLE: "from-env"}


def _netrc(tmp_path: Path, text: str) -> Mapping[str, str]:
    (tmp_path / ".netrc").write_text(text, encoding="utf-8")
    return {"HOME": str(tmp_path)}


def _pair(found: Credentials | None) -> tuple[str, str] | None:
    return (found.user, found.password) if found else None


def test_the_url_comes_first_then_the_variables_then_netrc(tmp_path: Path) -> None:
    stored = _netrc(tmp_path, "machine proxy login net password from-netrc\n")
    bare = proxy("http://proxy:1", "HTTPS_PROXY")
    full = proxy("http://url:from-url@proxy:1", "HTTPS_PROXY")
    assert _pair(find(full, {**stored, **_SET})) == ("url", "from-url")
    assert _pair(find(bare, {**stored, **_SET})) == ("env", "from-env")
    assert _pair(find(bare, stored)) == ("net", "from-netrc")
    assert _pair(find(bare, {})) == ("", "")


def test_the_source_is_named() -> None:
    found = find(proxy("http://a:b@proxy", "https_proxy"), {})
    assert found
    assert found.source == "https_proxy"
    assert "'b'" not in repr(found)


def test_a_user_without_password_finds_the_password_that_belongs_to_it(tmp_path: Path) -> None:
    stored = _netrc(tmp_path, "machine proxy login joe password from-netrc\n")
    joe, other = proxy("joe@proxy", "--proxy"), proxy("other@proxy", "--proxy")
    assert _pair(find(joe, {**stored, login.USER_VARIABLE: "another"})) == ("joe", "from-netrc")
    assert _pair(find(other, stored)) == ("other", "")
    assert _pair(find(joe, {login.PASSWORD_VARIABLE: "secret"})) == ("joe", "secret")


def test_a_proxy_that_the_user_did_not_name_gets_only_what_is_stored_for_it(
    tmp_path: Path,
) -> None:
    chosen = Upstream("http", "proxy", 3128, origin="PAC", named=False)
    assert find(chosen, _SET) is None
    assert find(chosen, _netrc(tmp_path, "default login d password everyone\n")) is None
    exact = _netrc(tmp_path, "machine proxy:3128 login x password exact\n")
    assert _pair(find(chosen, {**exact, **_SET})) == ("x", "exact")


def test_the_default_entry_of_netrc_is_for_no_proxy(tmp_path: Path) -> None:
    stored = _netrc(tmp_path, "default login d password everyone\n")
    assert _pair(find(proxy("http://proxy", "--proxy"), stored)) == ("", "")
    assert _pair(find(proxy("http://default", "--proxy"), stored)) == ("", "")


def test_a_broken_netrc_is_named_and_not_quoted(tmp_path: Path) -> None:
    stored = _netrc(tmp_path, "machine proxy login joe pasword hunter2\n")
    with pytest.raises(SettingsError, match="netrc cannot be read, line 1") as caught:
        find(proxy("http://proxy", "--proxy"), stored)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_netrc_can_be_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_text("machine proxy login n password p\n", encoding="utf-8")
    assert _pair(find(proxy("proxy", "--proxy"), {"NETRC": str(file)})) == ("n", "p")


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
