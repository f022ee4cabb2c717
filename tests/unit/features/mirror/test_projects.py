"""Pages of the simple index as values: what is read, what is written."""

import hashlib

import pytest

from pyodide_offline.errors import RegistryError
from pyodide_offline.features.mirror import projects
from pyodide_offline.features.mirror.projects import JSON, File, Project

SHA = hashlib.sha256(b"wheel").hexdigest()
NAME = "a_b-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        (JSON, True),
        ("text/html", False),
        (f"{JSON}, text/html;q=0.1", True),
        (f"{JSON};q=0.1, text/html", False),
        (f"{JSON};q=x", False),
        ("application/vnd.pypi.simple.latest+json", True),
    ],
)
def test_what_is_wanted(accept, json_wanted):
    assert projects.wants_json(accept) is json_wanted


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"files": [{}]}', b"[" * 100_000])
def test_reading_refuses(body):
    with pytest.raises(RegistryError):
        projects.read(body, JSON, "http://x/", "a")


@pytest.mark.parametrize(
    ("file", "project"),
    [
        (NAME, "a-b"),
        ("A.b-1.0.tar.gz", "a-b"),
        ("a-1.0.zip", "a"),
        ("a.whl", None),
        ("a.exe", None),
    ],
)
def test_projects_of_files(file, project):
    assert projects.project_of(file) == project


def test_what_is_written_cannot_be_markup():
    project = Project(
        "a", (File("a-1.0.tar.gz", "u", SHA, extra={"requires-python": '"><script>'}),)
    )
    assert b"<script>" not in projects.written_html(project)


def test_both_forms_are_read_as_they_are_written():
    files = (
        File(NAME, "https://x/f", SHA, SHA, {"requires-python": ">=3.11"}),
        File("a-b-1.0.tar.gz", "https://x/g", SHA, extra={"yanked": "broken"}),
    )
    project = Project("a-b", files)
    pages = {JSON: projects.written_json(project), "text/html": projects.written_html(project)}
    for kind, page in pages.items():
        found = projects.read(page, kind, "https://x/simple/a-b/", "a-b")
        assert [(one.name, one.sha256, one.metadata, one.extra) for one in found.files] == [
            (one.name, one.sha256, one.metadata, one.extra) for one in files
        ]
        assert found.files[0].url == f"https://x/files/{SHA}/{NAME}"


@pytest.mark.parametrize(
    ("sha256", "name"), [("", NAME), (SHA[1:], NAME), (SHA.upper(), NAME), (SHA, ""), (SHA, "../x")]
)
def test_what_is_no_file(sha256, name):
    assert projects.is_file(SHA, NAME)
    assert not projects.is_file(sha256, name)
