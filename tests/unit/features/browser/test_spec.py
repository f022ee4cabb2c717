"""What a folder is asked to hold."""

import pytest

from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import spec

TARGET = Target("3.14.2", "2026_0")
PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "pure"
version = "1.0"
wheels = [{url = "https://index.test/pure-1.0-py3-none-any.whl", hashes = {sha256 = "ab"}}]
[[packages]]
name = "native"
version = "2.0"
marker = "sys_platform == 'linux'"
"""


def test_names_are_taken_as_they_are(tmp_path):
    found = spec.read(["A-b>=1", "c"], tmp_path, TARGET)
    assert found.words == ("A-b>=1", "c")
    assert found.pins == {"a-b": "A-b>=1", "c": "c"}


def test_a_requirements_file_is_pips_and_its_plain_lines_are_known(tmp_path):
    text = "# a comment\n-i https://x\nPyYAML==6.0.2 \\\n  --hash=sha256:00\nflask # why\n"
    (tmp_path / "requirements.txt").write_text(text)
    found = spec.read(["requirements.txt"], tmp_path, TARGET)
    assert found.words == ("-r", str(tmp_path / "requirements.txt"))
    assert found.pins == {"pyyaml": "PyYAML==6.0.2", "flask": "flask"}


def test_a_changed_file_is_another_question(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("a")
    before = spec.read([path.name], tmp_path, TARGET).key
    assert spec.read([path.name], tmp_path, TARGET).key == before
    path.write_text("b")
    assert spec.read([path.name], tmp_path, TARGET).key != before
    assert spec.read([path.name], tmp_path, Target("3.14.2", "2027_0")).key != before


def test_a_pylock_pins_what_applies_in_a_browser(tmp_path):
    (tmp_path / "pylock.toml").write_text(PYLOCK)
    found = spec.read(["pylock.toml"], tmp_path, TARGET)
    assert found.words == ("pure==1.0",)
    assert found.hashes == {"pure-1.0-py3-none-any.whl": "ab"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("pylock.toml", "packages = 1", "cannot be used as a pylock"),
        ("pylock.toml", "no toml", "cannot be used as a pylock"),
        ("uv.toml", "", "is not a lock file"),
        ("none.txt", None, "There is no file none.txt here"),
        ("no such/file", None, "neither a file here nor a requirement"),
        ("empty.txt", "# nothing\n\n  # here\n", "names no package"),
    ],
)
def test_what_is_none_of_these_is_named(tmp_path, name, text, says):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ProjectError, match=says):
        spec.read([name], tmp_path, TARGET)


def test_a_file_that_only_names_another_is_pips_affair(tmp_path):
    (tmp_path / "r.txt").write_text("-r other.txt\n")
    assert spec.read(["r.txt"], tmp_path, TARGET).words == ("-r", str(tmp_path / "r.txt"))
