"""Tokens: kept as digests, read by any client's way to send one, revoked at once."""

import base64
import json
import os
import threading
import time

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import tokens
from pyodide_offline.features.mirror.tokens import Book, Watched


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "tokens.json"


def test_a_token_is_found_and_its_secret_is_kept_nowhere(path):
    made = tokens.add(path, "ci", tokens.READ)
    found = tokens.load(path).find(made)
    assert found is not None
    assert (found.name, found.role) == ("ci", "read")
    text = path.read_text()
    assert made not in text
    assert made[17:] not in text
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", [
    lambda made: made[:-1],
    lambda made: made + "x",
    lambda made: made[:17] + "A" * 43,
    lambda made: made.upper(),
    lambda made: "pom_" + "0" * 12 + made[16:],
    lambda made: made + "\n",
    lambda made: made[:-1] + "\udcff",
    lambda made: made[:0],
])  # fmt: skip
def test_anything_else_is_refused(path, spoil):
    made = tokens.add(path, "ci", tokens.READ)
    assert tokens.load(path).find(spoil(made)) is None
    assert Book({}).find(made) is None


def test_an_admin_may_read_and_a_reader_is_no_admin(path):
    reader = tokens.load(path).find(tokens.add(path, "r", "read"))
    admin = tokens.load(path).find(tokens.add(path, "a", "admin"))
    assert reader is None  # the book of before
    book = tokens.load(path)
    roles = {one.name: (one.may("read"), one.may("admin")) for one in book.tokens.values()}
    assert roles == {"r": (True, False), "a": (True, True)}
    assert admin is None


def test_a_token_expires(path):
    made = tokens.add(path, "ci", "read", days=1)
    book = tokens.load(path)
    assert book.find(made)
    assert book.find(made, now=time.time() + 86401) is None


def test_a_name_is_taken_once_and_revoked_by_name_or_id(path):
    made = tokens.add(path, "ci", "read")
    with pytest.raises(SettingsError, match="There is a token 'ci'"):
        tokens.add(path, "ci", "read")
    tokens.revoke(path, "ci")
    assert tokens.load(path).find(made) is None
    other = tokens.add(path, "ci", "read")
    tokens.revoke(path, other[4:16])
    assert tokens.load(path).tokens == {}
    with pytest.raises(SettingsError, match="no token 'ci'"):
        tokens.revoke(path, "ci")


@pytest.mark.parametrize(("name", "role"), [("", "read"), ("a b", "read"), ("a", "root")])
def test_names_and_roles_that_cannot_be(path, name, role):
    with pytest.raises(SettingsError, match="cannot have"):
        tokens.add(path, name, role)
    assert not path.exists()


def test_a_file_that_others_can_read_is_refused(path):
    tokens.add(path, "ci", "read")
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="can be reached by others"):
        tokens.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokens": [{"id": 1}]}', '{"tokens": 5}'])
def test_a_damaged_file_is_an_error_not_an_empty_book(path, text):
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="no file of tokens"):
        tokens.load(path)


def test_a_running_mirror_hears_of_a_revoked_token(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made = tokens.add(path, "ci", "read")
    watched = Watched(path)
    assert watched.find(made)
    tokens.revoke(path, "ci")
    clock[0] += 1.5
    assert watched.find(made) is None


def test_a_file_that_is_damaged_while_running_lets_nobody_in(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made = tokens.add(path, "ci", "read")
    watched = Watched(path)
    path.write_text("{")
    clock[0] += 1.5
    with pytest.raises(SettingsError):
        watched.find(made)
    assert watched.find(made) is None


def test_two_at_once_lose_no_token(path):
    threads = [threading.Thread(target=tokens.add, args=(path, f"t{n}", "read")) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(json.loads(path.read_text())["tokens"]) == 8


def _basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        (_basic("me:abc"), "abc"),
        (_basic("abc:"), "abc"),
        (_basic("abc"), "abc"),
        (_basic("me:a:b"), "a:b"),
        ("Basic ???", ""),
        ("Basic /w==", ""),
        ("Digest abc", ""),
        ("", ""),
        ("Bearer " + "a" * 5000, ""),
    ],
)
def test_each_way_in_which_a_client_sends_it(header, token):
    assert tokens.presented(header) == token


def test_the_file_is_where_the_variable_says(path):
    assert tokens.file({tokens.VARIABLE: str(path)}) == path
    assert tokens.file(os.environ).name == "mirror-tokens.json"
