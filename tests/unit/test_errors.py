"""The tree of errors, walked: what scripts rely on is unique and documented."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pytest

import pyodide_offline
from pyodide_offline import errors
from pyodide_offline.cli import boundary
from pyodide_offline.errors import PyodideOfflineError


def _tree() -> list[type[PyodideOfflineError]]:
    for module in pkgutil.walk_packages(pyodide_offline.__path__, "pyodide_offline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[PyodideOfflineError]] = [PyodideOfflineError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def test_codes_and_statuses_are_unique() -> None:
    tree = _tree()
    assert len(tree) > 10
    assert [c for c, n in Counter(one.code for one in tree).items() if n > 1] == []
    assert [s for s, n in Counter(one.exit_status for one in tree).items() if n > 1] == []


def test_each_kind_has_its_own_code_in_kebab_case_a_status_and_a_description() -> None:
    for kind in _tree():
        assert {"code", "exit_status"} <= set(vars(kind)), kind
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
        assert kind.__doc__, kind


def test_statuses_of_the_command_line_and_of_shells_are_left_alone() -> None:
    for kind in _tree()[1:]:
        # 0 well, 1 failed, 2 wrong use; from 64 on sysexits, shells and signals.
        assert 3 <= kind.exit_status < 64


def test_each_status_is_in_the_readme() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| code | meaning | code | meaning |")
    told = {int(one) for one in re.findall(r"\| (\d+) \|", table.partition("\n\n")[0])}
    assert told == {one.exit_status for one in _tree()} | {0, 2, boundary.BUG, boundary.INTERRUPTED}


def test_the_module_that_defines_them_imports_nothing_of_ours() -> None:
    text = Path(errors.__file__).read_text()
    assert not re.search(r"^\s*(from|import) pyodide_offline", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("why", "next_step", "lines"),
    [
        ("", "", ["It failed."]),
        ("So.", "", ["It failed.", "So."]),
        ("", "Do.", ["It failed.", "Do."]),
        ("So.", "Do.", ["It failed.", "So.", "Do."]),
    ],
)
def test_a_message_has_one_to_three_lines(why: str, next_step: str, lines: list[str]) -> None:
    error = PyodideOfflineError("It failed.", why=why, next_step=next_step)
    assert error.lines() == lines
    assert str(error) == " ".join(lines)
