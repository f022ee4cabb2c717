"""What a kit must hold: the project's locks, else what was pinned when told to."""

import json

import pytest

from pyodide_offline.errors import ProjectError, ToolchainError
from pyodide_offline.features.kit import locks
from pyodide_offline.features.kit.locks import Pins
from tests.peers import program

LOCK = json.dumps({"packages": {"node_modules/one": {"version": "1.0.0"}}})


def test_what_was_never_pinned_is_an_error_that_names_the_option(session):
    with pytest.raises(ProjectError) as caught:
        Pins(session, renew=False).recall("wrangler", [], lambda: "never")
    assert "--pin-now" in caught.value.next_step


def test_a_pin_holds_until_somebody_pins_anew(session):
    answers = iter(["one", "two"])

    def recall(*, renew: bool, question: str = "q") -> str:
        return Pins(session, renew=renew).recall("x", [question], lambda: next(answers))

    assert recall(renew=True) == "one"
    assert recall(renew=False) == "one"
    assert recall(renew=True) == "two"
    with pytest.raises(ProjectError):
        recall(renew=False, question="another")


def test_the_projects_lock_is_found_upward_and_needs_no_npm(session):
    (session.project / "package-lock.json").write_text(LOCK)
    lock = locks.npm_lock(session.project / "a" / "b")
    found = locks.packages(Pins(session, renew=False), lock, ["/nothing"], ["one@2"])
    assert [(one.name, one.version) for one in found] == [("one", "1.0.0")]


def test_pylock_goes_before_uv_lock(session):
    assert locks.python_lock(session.project) is None
    for name in ("uv.lock", "pylock.toml"):
        (session.project / name).write_text("")
        found = locks.python_lock(session.project)
        assert found is not None
        assert found.name == name


def test_npm_is_asked_for_a_lock_only(session, tmp_path):
    code = f"import sys; open('package-lock.json', 'w').write({LOCK!r}); print(sys.argv)"
    npm = tmp_path / "npm"
    program.write(npm, code)
    found = locks.packages(Pins(session, renew=True), None, [str(npm)], ["one@1.0.0"])
    assert [one.name for one in found] == ["one"]
    again = locks.packages(Pins(session, renew=False), None, ["/nothing"], ["one@1.0.0"])
    assert again == found


def test_an_npm_that_fails_says_why(session, tmp_path):
    npm = tmp_path / "npm"
    program.write(npm, "raise SystemExit('no such version')")
    with pytest.raises(ToolchainError, match="no such version"):
        locks.packages(Pins(session, renew=True), None, [str(npm)], ["one@9"])
