"""A project's wrangler configuration."""

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.workers import project

TOML = """
name = "w"
main = "src/entry.py"
compatibility_date = "2026-11-17"
compatibility_flags = ["python_workers"]
[env.old]
compatibility_date = "2025-11-02"
"""
JSONC = """{
  // a comment, and a comma at the end
  "main": "src/entry.py",
  "compatibility_date": "2026-11-17",
  "compatibility_flags": ["python_workers",],
}"""


def write(folder, text, name="wrangler.toml"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text"), [("wrangler.toml", TOML), ("wrangler.jsonc", JSONC), ("wrangler.json", JSONC)]
)
def test_a_worker_is_read_from_each_kind_of_file(tmp_path, name, text):
    worker = project.read(write(tmp_path, text, name))
    assert worker.main == "src/entry.py"
    assert worker.is_python
    assert (worker.date, worker.flags) == ("2026-11-17", ("python_workers",))


def test_json_comes_before_toml_as_wrangler_has_it(tmp_path):
    write(tmp_path, TOML)
    write(tmp_path, JSONC, "wrangler.json")
    assert project.read(tmp_path).config.name == "wrangler.json"


def test_the_configuration_is_found_from_a_folder_below(tmp_path):
    write(tmp_path, TOML)
    (tmp_path / "src" / "deep").mkdir(parents=True)
    assert project.read(tmp_path / "src" / "deep").config == tmp_path / "wrangler.toml"


def test_an_environment_overrides_what_it_names(tmp_path):
    worker = project.read(write(tmp_path, TOML), environment="old")
    assert (worker.date, worker.main) == ("2025-11-02", "src/entry.py")


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "wrangler.toml").write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    assert project.read(tmp_path).main == "src/entry.py"


def test_a_javascript_worker_is_not_python(tmp_path):
    text = TOML.replace("entry.py", "index.js")
    assert not project.read(write(tmp_path, text)).is_python


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("main = ", "wrangler.toml", "not valid TOML"),
        ("{ main: ", "wrangler.jsonc", "not valid JSONC"),
        ('{\n "main": "x",\n {\n', "wrangler.json", "near line 3"),
        ("[1]", "wrangler.json", "table of settings"),
        ('compatibility_date = "2026-01-01"', "wrangler.toml", "names no entry module"),
        ('main = "a.py"', "wrangler.toml", "no compatibility_date"),
        ('main = "a.py"\ncompatibility_date = 2026-01-01', "wrangler.toml", "as a text"),
        ('main = "a.py"\ncompatibility_date = "2026-02-30"', "wrangler.toml", "is no date"),
        ('main = "a.py"\ncompatibility_date = "20260101"', "wrangler.toml", "is no date"),
        (TOML.replace('["python_workers"]', '"x"'), "wrangler.toml", "not a list"),
    ],
)
def test_a_fault_is_said_in_a_sentence(tmp_path, text, name, says):
    with pytest.raises(ProjectError, match=says) as caught:
        project.read(write(tmp_path, text, name))
    assert 1 <= len(caught.value.lines()) <= 3


def test_no_configuration_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(project, "CONFIG_NAMES", ("wrangler.no-such-file",))
    with pytest.raises(ProjectError, match="no wrangler configuration"):
        project.read(tmp_path)


def test_an_unknown_environment(tmp_path):
    with pytest.raises(ProjectError, match="no environment 'nope'"):
        project.read(write(tmp_path, TOML), environment="nope")
    with pytest.raises(ProjectError, match="Name one that it has: old"):
        project.read(write(tmp_path, TOML), environment="nope")
    with pytest.raises(ProjectError, match="It has none"):
        project.read(write(tmp_path, TOML.partition("[env")[0]), environment="nope")


def test_a_pyproject_is_looked_at_before_anything_is_brought_for_it(tmp_path):
    worker = project.read(write(tmp_path, TOML))
    assert not project.is_packaged(worker)
    write(tmp_path, "[project]\nname = 'x'\n", "pyproject.toml")
    assert project.is_packaged(worker)
    write(tmp_path, "x = [", "pyproject.toml")
    with pytest.raises(ProjectError, match=r"pyproject.toml is not valid TOML"):
        project.is_packaged(worker)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "wrangler.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError, match="not UTF-8"):
        project.read(tmp_path)
