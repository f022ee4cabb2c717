"""What a command line asks for."""

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.workers import command

PYTHON = 'main = "src/entry.py"\ncompatibility_date = "2026-11-17"\n'
PYTHON += 'compatibility_flags = ["python_workers"]\n'


@pytest.fixture
def project(session):
    (session.project / "wrangler.toml").write_text(PYTHON)
    (session.project / "pyproject.toml").write_text("[project]\nname = 'w'\nversion = '1'\n")
    return session.project


@pytest.mark.parametrize(
    ("words", "pywrangler"),
    [
        (["pywrangler", "dev"], True),
        (["uv", "run", "pywrangler", "dev"], True),
        (["wrangler", "dev"], False),
        (["npx", "wrangler", "dev"], False),
        (["npx", "--yes", "wrangler", "dev"], False),
        (["pytest"], True),
        (["npm", "run", "dev"], False),
    ],
)
def test_packages_are_synced_for_pywrangler_only(session, project, words, pywrangler):
    assert command.plan(session, words).pywrangler is pywrangler


def test_a_script_of_npm_that_starts_pywrangler_counts(session, project):
    (project / "package.json").write_text('{"scripts": {"dev": "pywrangler dev"}}')
    assert command.plan(session, ["npm", "run", "dev"]).pywrangler


def test_pywranglers_own_sync_is_always_prepared(session, project):
    assert command.plan(session, ["pywrangler", "sync", "--force"]).syncs
    assert not command.plan(session, ["pywrangler", "dev"]).syncs


def test_a_project_without_pyproject_is_not_synced(session, project):
    (project / "pyproject.toml").unlink()
    assert not command.plan(session, ["pytest"]).pywrangler


@pytest.mark.parametrize("option", [["-c", "other.toml"], ["--config=other.toml"]])
def test_a_configuration_named_in_the_command_is_read(session, project, option):
    (project / "other.toml").write_text(PYTHON.replace("2026-11-17", "2025-11-02"))
    worker = command.plan(session, ["pywrangler", "dev", *option]).worker
    assert worker is not None
    assert worker.date == "2025-11-02"


def test_options_of_other_programs_are_not_wranglers(session, project):
    assert command.plan(session, ["sh", "-c", "echo --env=x -e y"]).worker is not None


def test_without_a_configuration_wrangler_is_not_started(session, monkeypatch):
    monkeypatch.setattr("pyodide_offline.workers.project.CONFIG_NAMES", ("wrangler.none",))
    with pytest.raises(ProjectError, match="no wrangler configuration"):
        command.plan(session, ["pywrangler", "dev"])
    assert command.plan(session, ["pytest"]).worker is None
    assert command.plan(session, ["npx", "wrangler", "init", "dev"]).worker is None
    assert command.plan(session, ["pywrangler", "--version"]).worker is None
    assert command.plan(session, ["wrangler"]).worker is None


@pytest.mark.parametrize(
    ("words", "port"),
    [
        (["wrangler", "dev", "--port", "8788"], 8788),
        (["pywrangler", "dev", "--port=8789"], 8789),
        (["wrangler", "dev", "--port", "x"], None),
        (["wrangler", "dev"], None),
    ],
)
def test_the_port_that_a_command_names(words, port):
    assert command.port(words) == port
