"""The folder's list: nothing can be missing, altered or added without being named."""

import json

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import folder
from pyodide_offline.features.browser.folder import Fault

PAGE = '<html data-folder="sha256-' + "A" * 43 + '=">x</html>\n'


@pytest.fixture
def root(tmp_path):
    for name, text in {"index.html": PAGE, "a/one.js": "1", "b ü.txt": "2"}.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    folder.seal(tmp_path / "site", {"title": "x"})
    return tmp_path / "site"


def faults(root):
    return folder.faults(folder.read(root))


def test_a_sealed_folder_has_no_fault_and_can_be_sealed_again(root):
    assert faults(root) == []
    before = (root / "index.html").read_bytes()
    folder.seal(root, {"title": "x"})
    assert (root / "index.html").read_bytes() == before
    assert folder.read(root).about["title"] == "x"


@pytest.mark.parametrize("name", ["index.html", "a/one.js", "b ü.txt"])
@pytest.mark.parametrize("altered", [True, False])
def test_each_file_that_is_altered_or_missing_is_named(root, name, altered):
    if altered:
        (root / name).write_text((root / name).read_text() + " ")
    else:
        (root / name).unlink()
    assert faults(root) == [Fault(name, "altered" if altered else "missing")]


def test_an_altered_list_is_named(root):
    record = json.loads((root / "folder.json").read_text())
    (root / "folder.json").write_text(json.dumps({**record, "title": "y"}))
    assert [one.name for one in faults(root)] == ["folder.json"]


def test_a_foreign_file_is_named(root):
    (root / "a" / "two.js").write_text("")
    assert faults(root) == [Fault("a/two.js", "not of this folder")]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format": 1}'])
def test_another_folder_is_refused(root, text):
    (root / "folder.json").unlink()
    if text:
        (root / "folder.json").write_text(text)
    with pytest.raises(ProjectError, match="not a folder that browser build made"):
        folder.read(root)


def test_a_folder_of_another_release_is_refused(root):
    (root / "folder.json").write_text('{"format": 99, "files": {}}')
    with pytest.raises(ProjectError, match="another release"):
        folder.read(root)


def test_a_version_can_stand_in_an_address():
    assert folder.version("sha256-a+/bcdefghijklmnop") == "a-_bcdefghij"
