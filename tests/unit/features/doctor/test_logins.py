"""Where a registry's login is written."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.features.doctor import logins
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed


@pytest.fixture
def ask(machine, tmp_path: Path):
    home = tmp_path / "somebody"
    home.mkdir()

    def ask(npmrc: str = "registry=https://npm.test/\n", **more: str):
        (home / ".npmrc").write_text(npmrc)
        environ = {**machine.environ, "HOME": str(home), **more}
        return logins.npm(Observed(replace(machine, environ=environ)))

    return ask


def test_no_login_is_in_order(ask):
    assert "npm.test gets no login" in ask().summary


def test_a_login_is_named_by_its_place_and_never_shown(ask):
    found = ask("registry=https://npm.test/\n//npm.test/:_authToken=S3cret\n")
    assert (found.state, found.evidence["key"]) == (State.PASS, "_authToken")
    assert ".npmrc" in found.summary
    assert "S3cret" not in str(found)


def test_a_login_with_a_variable_that_is_not_set_is_a_warning(ask):
    text = "registry=https://npm.test/\n//npm.test/:_authToken=${MY_TOKEN}\n"
    found = ask(text)
    assert (found.state, "MY_TOKEN" in found.summary) == (State.WARN, True)
    assert ask(text, MY_TOKEN="x").state is State.PASS


def test_a_login_of_no_registry_is_a_warning(ask):
    found = ask("registry=https://npm.test/\n_authToken=S3cret\n")
    assert (found.state, "names no registry" in found.summary) == (State.WARN, True)
    assert "S3cret" not in str(found)


def test_without_npm_there_is_nothing_to_say(machine):
    assert logins.npm(Observed(machine)).state is State.SKIP
