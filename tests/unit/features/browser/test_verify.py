"""What verify makes of what it finds; Node and Chromium are in the end-to-end tests."""

import pytest

from pyodide_offline.features.browser import folder, inside, verify
from pyodide_offline.features.browser.verify import Report, Run

PAGE = '<html data-folder="sha256-' + "A" * 43 + '=">\n'


@pytest.fixture
def root(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text(PAGE)
    (tmp_path / "site/x.js").write_text("x")
    folder.seal(tmp_path / "site", {})
    return tmp_path / "site"


@pytest.fixture
def node(monkeypatch):
    answers = {"asked": [], "seconds": 1.5}
    monkeypatch.setattr(inside, "run", lambda *_: answers)
    return answers


def test_a_folder_that_runs_is_well(session, root, node):
    node["status"] = 200
    report = verify.verify(session, root)
    assert report.well
    assert [(run.where, run.seconds) for run in report.runs] == [("Node", 1.5)]


def test_a_folder_with_a_fault_is_not_run(session, root, monkeypatch):
    monkeypatch.setattr(inside, "run", None)
    (root / "x.js").unlink()
    report = verify.verify(session, root)
    assert not report.well
    assert [one.name for one in report.faults] == ["x.js"]
    assert report.runs == ()


@pytest.mark.parametrize(
    "found",
    [{"asked": ["https://cdn.test/x"]}, {"fault": "Not loaded: x."}, {"status": 500}],
)
def test_what_left_or_failed_is_not_well(session, root, node, found):
    node.update(found)
    assert not verify.verify(session, root).well


def test_a_run_is_well_without_faults_and_requests_outside():
    assert Run("Node", 1, 0, 0).well
    assert not Run("Chromium", 1, 1, 1, left=("https://x",)).well
    assert not Report(1, 1, (), (Run("Node", 1, 0, 0, fault="x"),)).well
