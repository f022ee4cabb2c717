"""Where user and password of a proxy come from, and which proxies get them."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import keyring
import keyring.backend
import keyring.credentials
import keyring.errors
import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import credentials
from pyodide_offline.network.credentials import Credentials, find
from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.proxies import parse as proxy


class Keys(keyring.backend.KeyringBackend):
    """A keyring in memory: passwords by service and user."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.locked = False

    @property
    def priority(self) -> float:
        return 1

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_credential(
        self, service: str, username: str | None
    ) -> keyring.credentials.Credential | None:
        self.asked.append(service)
        if self.locked:
            raise keyring.errors.KeyringLocked("locked")
        for (kept, user), password in self.kept.items():
            if kept == service and username in (None, user):
                return keyring.credentials.SimpleCredential(user, password)
        return None


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """Give the process an empty keyring, and no person's answers."""
    made, before = Keys(), keyring.get_keyring()
    keyring.set_keyring(made)
    monkeypatch.setattr(credentials, "_PERSON", credentials._Person())
    credentials._keyring.cache_clear()
    yield made
    credentials._keyring.cache_clear()
    keyring.set_keyring(before)


_SET = {credentials.USER_VARIABLE: "env", credentials.PASSWORD_VARIABLE: "from-env"}


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
    assert _pair(find(joe, {**stored, credentials.USER_VARIABLE: "another"})) == (
        "joe",
        "from-netrc",
    )
    assert _pair(find(other, stored)) == ("other", "")
    assert _pair(find(joe, {credentials.PASSWORD_VARIABLE: "secret"})) == ("joe", "secret")


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


def test_the_keyring_is_asked_for_host_and_port_then_for_the_host(keys: Keys) -> None:
    bare, joe = proxy("http://proxy:3128", "HTTPS_PROXY"), proxy("joe@proxy:3128", "--proxy")
    keys.kept = {("proxy", "ann"): "by-host"}
    found = find(bare, {})
    assert (_pair(found), found and found.source) == (("ann", "by-host"), "the keyring")
    assert keys.asked == ["proxy:3128", "proxy"]
    assert _pair(find(bare, {})) == ("ann", "by-host")
    assert len(keys.asked) == 2  # asked once a process
    assert _pair(find(joe, {})) == ("joe", "")  # ann's password is not joe's
    keys.kept[("proxy:3128", "joe")] = "by-port"
    credentials._keyring.cache_clear()
    assert _pair(find(joe, {})) == ("joe", "by-port")


def test_netrc_goes_before_the_keyring_and_the_keyring_before_the_person(
    keys: Keys, tmp_path: Path
) -> None:
    bare = proxy("http://proxy:3128", "HTTPS_PROXY")
    keys.kept = {("proxy", "ann"): "kept"}
    credentials.typed(bare, "typed", "typed")
    stored = _netrc(tmp_path, "machine proxy login net password from-netrc\n")
    assert _pair(find(bare, stored)) == ("net", "from-netrc")
    assert _pair(find(bare, {})) == ("ann", "kept")


def test_a_proxy_that_the_user_did_not_name_gets_what_the_keyring_has_for_it(keys: Keys) -> None:
    chosen = Upstream("http", "proxy", 3128, origin="PAC", named=False)
    assert find(chosen, _SET) is None
    keys.kept = {("proxy", "ann"): "kept", ("other", "ann"): "not for it"}
    credentials._keyring.cache_clear()
    assert _pair(find(chosen, _SET)) == ("ann", "kept")


def test_a_keyring_that_cannot_be_used_holds_nothing(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = proxy("http://proxy:3128", "HTTPS_PROXY")
    keys.kept, keys.locked = {("proxy", "ann"): "kept"}, True
    assert _pair(find(bare, {})) == ("", "")
    credentials._keyring.cache_clear()
    monkeypatch.setitem(sys.modules, "keyring", None)  # not installed
    assert _pair(find(bare, {})) == ("", "")
    assert isinstance(keyring, ModuleType)


def test_what_a_person_typed_is_for_this_proxy_and_asked_for_once() -> None:
    bare, other = proxy("http://proxy", "HTTPS_PROXY"), proxy("http://other", "HTTPS_PROXY")
    assert credentials.wanted() == []
    credentials.missed(bare)
    credentials.missed(bare)
    assert credentials.wanted() == [bare]
    credentials.typed(bare, "joe", "typed")
    assert credentials.wanted() == []
    assert find(bare, {}) == Credentials("joe", "typed", "what was typed")
    assert _pair(find(other, {})) == ("", "")


def test_nobody_is_asked_for_a_proxy_that_the_user_did_not_name() -> None:
    chosen = Upstream("http", "proxy", 80, origin="PAC", named=False)
    credentials.missed(chosen)
    assert credentials.wanted() == []
    credentials.typed(proxy("http://proxy", "--proxy"), "joe", "typed")
    assert find(chosen, {}) is None


def test_a_user_whose_password_is_nowhere_is_not_a_login() -> None:
    alone = find(proxy("http://joe@proxy", "HTTPS_PROXY"), {})
    assert alone
    assert not alone.known
    empty = find(proxy("http://joe:@proxy", "HTTPS_PROXY"), {})
    assert empty
    assert empty.known
