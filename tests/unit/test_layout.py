"""scripts/check_layout.py finds what it promises to find."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_layout.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project where all holds; the script judges the clone that it lies in."""
    files = {
        "scripts/check_layout.py": SCRIPT.read_text(encoding="utf-8"),
        "pyodide_offline/__init__.py": "VERSION = 1\n",
        "pyodide_offline/__main__.py": "print()\n",
        "pyodide_offline/store.py": "X = 1\n",
        "pyodide_offline/cli/__init__.py": "def main(): ...\n",
        "tests/unit/test_store.py": "def test_it(): ...\n",
        "tests/unit/cli/test_cli.py": "class TestIt:\n    def test_it(self): ...\n",
    }
    for name, text in files.items():
        write(tmp_path / name, text)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def judge(root: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, root / "scripts" / "check_layout.py"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout.split("\n")[:-1]


def test_a_good_tree_passes(tree: Path) -> None:
    assert judge(tree) == (0, [""])


def test_a_module_without_a_test_file_is_named(tree: Path) -> None:
    (tree / "tests/unit/test_store.py").unlink()
    assert judge(tree) == (1, ["pyodide_offline/store.py: no tests/unit/test_store.py"])


def test_a_test_file_without_a_test_is_named(tree: Path) -> None:
    write(tree / "tests/unit/test_store.py", "def check(): ...\n")
    assert judge(tree) == (1, ["tests/unit/test_store.py: no test in it"])


def test_a_package_that_defines_something_needs_a_test_file(tree: Path) -> None:
    (tree / "tests/unit/cli/test_cli.py").unlink()
    assert judge(tree) == (1, ["pyodide_offline/cli/__init__.py: no tests/unit/cli/test_cli.py"])


def test_the_limit_of_lines_is_450(tree: Path) -> None:
    write(tree / "tests/e2e/test_long.py", "\n" * 450)
    write(tree / "examples/x/python_modules/foreign.py", "\n" * 9000)
    assert judge(tree)[0] == 0
    write(tree / "tests/e2e/test_long.py", "\n" * 451)
    assert judge(tree) == (1, ["tests/e2e/test_long.py: 451 lines, more than 450"])
