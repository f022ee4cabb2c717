"""Settings from files."""

import os
from pathlib import Path

import click
import pytest

from pyodide_offline.cli import app, settings
from pyodide_offline.errors import SettingsError


@pytest.fixture
def own(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    monkeypatch.setenv(settings.CONFIG_VARIABLE, str(path))
    return path


@pytest.fixture
def folder(tmp_path, own):
    place = tmp_path / "project" / "below"
    place.mkdir(parents=True)
    return place


def test_without_files_there_are_no_settings(folder):
    (folder.parent / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert settings.load(folder) == {}


def test_the_projects_table_wins_over_the_users_file(folder, own):
    own.write_text('bundle = "npm"\noffline = true\n')
    (folder.parent / "pyproject.toml").write_text('[tool.pyodide-offline]\nbundle = "official"\n')
    assert settings.load(folder) == {"bundle": "official", "offline": True}


def test_click_gets_them_for_each_command(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    own.write_text('cache-dir = "/c"\n')
    found = settings.defaults(["run", "cache"])
    assert found["run"]["cache_dir"] == "/c"
    assert found["cache"]["list"]["cache_dir"] == "/c"


def test_they_reach_every_command_that_has_the_option(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    own.write_text('store-dir = "/s"\nquiet = true\n')
    found = settings.defaults(app.COMMANDS)

    def walk(command, given, path):
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, given.get(name, {}), f"{path} {name}")
        for option in command.params:
            if option.name in ("store_dir", "quiet"):
                yield f"{path} {option.name}", given.get(option.name)

    context = click.Context(app.app)
    reached = {
        path: value
        for name in app.COMMANDS
        for path, value in walk(app.app.get_command(context, name), found[name], name)
    }
    assert reached["kit unpack store_dir"] == "/s"
    assert [path for path, value in reached.items() if value is None] == []


def test_a_mirror_is_no_client_of_the_one_in_the_settings(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    own.write_text('mirror = "https://mirror.example"\n')
    found = settings.defaults(["run", "mirror"])
    assert found["run"]["mirror"] == "https://mirror.example"
    assert "mirror" not in found["mirror"]["sync"]


def test_what_may_be_repeated_is_parted_by_spaces(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    own.write_text('proxy = "http://a:1 http://b:1"\npac = "http://wpad/p.pac"\n')
    found = settings.defaults(["tunnel"])["tunnel"]
    assert found["proxies"] == ["http://a:1", "http://b:1"]
    assert found["pac"] == "http://wpad/p.pac"


def test_folders_lie_beside_the_file_that_names_them(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    text = "[tool.pyodide-offline]\nstore-dir = '.store'\ncache-dir = '/c'\n"
    (folder.parent / "pyproject.toml").write_text(text)
    assert settings.load(folder) == {"store-dir": f"{folder.parent}/.store", "cache-dir": "/c"}


def test_ca_files_lie_beside_the_file_that_names_them(folder, own, monkeypatch):
    monkeypatch.chdir(folder)
    text = "[tool.pyodide-offline]\nca = 'certs/a.pem:/b.pem'\n"
    (folder.parent / "pyproject.toml").write_text(text.replace(":", os.pathsep))
    assert settings.defaults(["run"])["run"]["ca"] == [f"{folder.parent}/certs/a.pem", "/b.pem"]
    own.write_text("ca = ''\n")
    (folder.parent / "pyproject.toml").unlink()
    assert settings.defaults(["run"])["run"]["ca"] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense = 1", "does not know"),
        ("offline = 'yes'", "true or false"),
        ("bundle = 3", "must be a text"),
        ("bundle = ", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(folder, own, text, says):
    own.write_text(text)
    with pytest.raises(SettingsError, match=says):
        settings.load(folder)


def test_a_wrong_table_in_pyproject_is_named(folder):
    (folder.parent / "pyproject.toml").write_text("[tool]\npyodide-offline = 1\n")
    with pytest.raises(SettingsError, match="not a table"):
        settings.load(folder)


def test_bytes_that_are_no_text_are_an_error(folder, own):
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="Cannot read"):
        settings.load(folder)


def test_a_home_that_may_not_be_looked_into_has_no_settings(monkeypatch, tmp_path):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", refuse)
    assert settings._user_file() == {}
