"""The app of a folder."""

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import apps


def test_datasette_with_files(tmp_path):
    data = tmp_path / "a b.db"
    data.write_bytes(b"SQLite format 3\x00")
    app = apps.read("datasette>=1.0a1", data=[data])
    assert (app.kind, app.requires) == ("datasette", ("datasette>=1.0a1",))
    root = tmp_path / "site"
    root.mkdir()
    assert apps.write(app, root) == {"data/a b.db": "/folder/data/a b.db"}
    assert app.record() == {"kind": "datasette", "data": ["/folder/data/a b.db"]}


def test_a_file_and_what_it_imports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("main.py", "more/x.py", "more/__pycache__/x.pyc", "more/.git/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    app = apps.read("main.py:api", include=[tmp_path / "more"])
    assert app.record() == {"kind": "asgi", "target": "main:api"}
    root = tmp_path / "site"
    root.mkdir()
    assert list(apps.write(app, root)) == ["app/main.py", "app/more/x.py"]


def test_names_have_a_default(tmp_path):
    (tmp_path / "main.py").write_text("")
    assert apps.read(str(tmp_path / "main.py")).target == "main:app"
    assert apps.read("package.module:create").target == "package.module:create"


@pytest.mark.parametrize(
    ("text", "data", "says"),
    [
        ("nothing", [], "names no app"),
        ("none.py", [], "There is no file none.py"),
        ("x:app", ["a.db"], "goes with --app datasette"),
        ("datasette", ["none.db"], "There is no file none.db"),
        ("datasette", ["a/x.db", "b/x.db"], "Two files are called x.db"),
        ("datasette==abc", ["a.db"], "not with 'datasette==abc'"),
        ("datasette", ["pyproject.db"], "is no SQLite database"),
    ],
)
def test_what_cannot_be_is_an_error(text, data, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    Path("pyproject.db").write_text("[project]")
    with pytest.raises(ProjectError, match=says):
        apps.read(text, data=[Path(one) for one in data])
