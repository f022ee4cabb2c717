"""Asking a person for a proxy's login."""

import sys

import click
import pytest

from pyodide_offline.cli import app, boundary, prompt
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import credentials
from pyodide_offline.network.proxies import parse

_PROXY = parse("http://proxy:3128", "HTTPS_PROXY")


@pytest.fixture(autouse=True)
def _nobody_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_PERSON", credentials._Person())
    monkeypatch.setattr(prompt, "_attended", lambda: True)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Let a person answer joe and hunter2; returns what was asked, and what was hidden."""
    asked: list[tuple[str, bool]] = []

    def ask(text: str, *, hide_input: bool = False, **_: object) -> str:
        asked.append((text.strip(), hide_input))
        return "hunter2" if hide_input else "joe"

    monkeypatch.setattr(click, "prompt", ask)
    return asked


def test_user_and_password_are_asked_once_and_the_password_is_hidden(
    answers: list[tuple[str, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    credentials.missed(_PROXY)
    assert prompt.answered()
    assert answers == [("User", False), ("Password of joe", True)]
    found = credentials.find(_PROXY, {})
    assert found
    assert (found.user, found.password) == ("joe", "hunter2")
    assert not prompt.answered()
    said = capsys.readouterr()
    assert said.err == "The proxy http://proxy:3128 wants a login (HTTPS_PROXY names it).\n"
    assert "hunter2" not in said.err + said.out


def test_a_user_that_is_known_is_not_asked_for(answers: list[tuple[str, bool]]) -> None:
    credentials.missed(parse("http://ann@proxy", "--proxy"))
    assert prompt.answered()
    assert answers == [("Password of ann", True)]


def test_nobody_is_asked_where_nobody_is_or_nothing_was_missed(
    answers: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not prompt.answered()
    credentials.missed(_PROXY)
    monkeypatch.setattr(prompt, "_attended", lambda: False)
    assert not prompt.answered()
    assert answers == []


def test_who_gives_no_user_is_shown_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "")
    credentials.missed(_PROXY)
    assert not prompt.answered()


@pytest.mark.parametrize(
    ("terminals", "environ", "attended"),
    [((True, True), {}, True), ((False, True), {}, False), ((True, False), {}, False),
     ((True, True), {"CI": "1"}, False)],
)  # fmt: skip
def test_a_person_is_at_a_terminal_and_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, terminals, environ, attended: bool
) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("CI", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for stream, terminal in zip((sys.stdin, sys.stderr), terminals, strict=True):
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
    assert prompt._attended() is attended


def test_the_command_is_begun_again_with_what_was_typed(
    answers: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def main(**_: object) -> int:
        runs.append(credentials.find(_PROXY, {}))
        if len(runs) == 1:
            credentials.missed(_PROXY)
            raise NetworkError("It wants a login.")
        return 0

    monkeypatch.setattr(app.app, "main", main)
    with pytest.raises(SystemExit) as caught:
        boundary.guarded([])
    assert caught.value.code == 0
    assert [one.user if one else None for one in runs] == ["", "joe"]
