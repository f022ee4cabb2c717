"""npm's configuration, read by npm's own rules."""

import json
import sys
from pathlib import Path

import pytest

from pyodide_offline import npmfile
from pyodide_offline.distribution import npmrc
from pyodide_offline.errors import RegistryError

URL = "https://npm.corp.example/repo/npm/"
TOKEN = "s3cret-token"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"  # made by the conftest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    return folder


def _config(text: str, **environ: str) -> npmrc.Config:
    settings = {k: npmrc.Setting(v, "a file") for k, v in npmfile.parse(text, environ)}
    return npmrc.Config(settings, ["a file"])


def _fake_npm(folder: Path, answer: str, status: int = 0) -> list[str]:
    """A program that answers as npm config list --json, and notes how it was called."""
    script = folder / "fake npm.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        f"pathlib.Path({str(folder / 'called')!r}).open('a').write("
        "json.dumps([sys.argv[1:], os.getcwd()]) + '\\n')\n"
        f"print({answer!r}); sys.exit({status})\n"
    )
    return [sys.executable, str(script)]


def test_variables_in_keys_are_replaced() -> None:
    config = _config("//${HOST}/:_authToken=t", HOST="h.example")
    assert config.settings["//h.example/:_authToken"].value == "t"


def test_variables_go_before_the_project_before_the_user_before_the_machine(
    home: Path, project: Path, tmp_path: Path
) -> None:
    machine = tmp_path / "machine npmrc"
    environ = {"HOME": str(home), "npm_config_globalconfig": str(machine)}
    assert npmrc.load(environ, project, None).get("registry") is None
    for file, host in ((machine, "machine"), (home / ".npmrc", "user"), (project / ".npmrc", "p")):
        file.write_text(f"registry=https://{host}.example/\n")
        assert npmrc.load(environ, project, None).registry("x") == f"https://{host}.example/"
    environ["NPM_CONFIG_REGISTRY"] = "https://variable.example"
    assert npmrc.load(environ, project, None).registry("x") == "https://variable.example/"
    environ["NPM_CONFIG_REGISTRY"] = ""
    assert npmrc.load(environ, project, None).registry("x") == "https://p.example/"


def test_the_projects_file_is_the_one_beside_the_nearest_package(home: Path, project: Path) -> None:
    (project / ".npmrc").write_text("registry=https://project.example/\n")
    inside = project / "src" / "deep"
    inside.mkdir(parents=True)
    (inside / ".npmrc").write_text("registry=https://ignored.example/\n")
    config = npmrc.load({"HOME": str(home)}, inside, None)
    assert config.registry("x") == "https://project.example/"


def test_another_user_file_can_be_named(home: Path, project: Path, tmp_path: Path) -> None:
    (home / ".npmrc").write_text("registry=https://home.example/\n")
    other = tmp_path / "other"
    other.write_text("registry=https://other.example/\n")
    environ = {"HOME": str(home), "npm_config_userconfig": str(other)}
    assert npmrc.load(environ, project, None).registry("x") == "https://other.example/"


def test_npm_is_asked_once_in_the_projects_folder_for_what_no_file_says(
    home: Path, project: Path, tmp_path: Path
) -> None:
    machine = tmp_path / "machine"
    machine.write_text(f"//default.example/:_authToken={TOKEN}\n")
    told = {"registry": "https://default.example/", "globalconfig": str(machine), "fund": True}
    npm = _fake_npm(tmp_path, json.dumps(told))
    config = npmrc.load({"HOME": str(home)}, project, npm)
    assert config.registry("x") == "https://default.example/"
    login = config.login("https://default.example/")
    assert login
    assert login.source == str(machine)
    calls = [json.loads(line) for line in (tmp_path / "called").read_text().splitlines()]
    assert calls == [[["config", "list", "--json"], str(project)]]


@pytest.mark.parametrize(("answer", "status"), [("not json", 0), ("[]", 0), ("{}", 1)])
def test_an_npm_that_fails_leaves_what_the_files_say(
    home: Path, project: Path, tmp_path: Path, answer: str, status: int
) -> None:
    npm = _fake_npm(tmp_path, answer, status)
    (home / ".npmrc").write_text("registry=https://user.example/\n")
    config = npmrc.load({"HOME": str(home)}, project, npm)
    assert config.registry("x") == "https://user.example/"
    missing = npmrc.load({"HOME": str(home)}, project, [str(tmp_path / "no-such-npm")])
    assert missing.registry("x") == "https://user.example/"


def test_without_any_registry_the_next_step_names_two_ways() -> None:
    with pytest.raises(RegistryError) as caught:
        _config("").registry("pyodide")
    assert "Install npm" in caught.value.next_step
    assert "npm_config_registry" in caught.value.next_step


@pytest.mark.parametrize("url", ["ftp://h/", "h.example", "https://", "file:///x"])
def test_a_registry_that_is_no_web_address_is_refused_with_its_place(url: str) -> None:
    with pytest.raises(RegistryError, match="The npm registry in a file is not"):
        _config(f"registry={url}").registry("x")


def test_a_scope_has_its_own_registry() -> None:
    config = _config("registry=https://all.example\n@corp:registry=https://corp.example/n")
    assert config.registry("@corp/tool") == "https://corp.example/n/"
    assert config.registry("@other/tool") == "https://all.example/"


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        (f"//npm.corp.example/repo/npm/:_authToken={TOKEN}", f"Bearer {TOKEN}"),
        (f"//npm.corp.example/repo/npm:_authToken={TOKEN}", f"Bearer {TOKEN}"),
        (f"//npm.corp.example/:_authToken={TOKEN}", f"Bearer {TOKEN}"),
        ("//npm.corp.example/repo/:_auth=dTpw", "Basic dTpw"),
        # base64 of "geheim:ü" as password, of user "me"
        (
            "//npm.corp.example/:username=me\n//npm.corp.example/:_password=Z2VoZWltOsO8",
            "Basic bWU6Z2VoZWltOsO8",
        ),
    ],
)
def test_logins_in_every_form_are_found_at_every_level_of_the_path(lines: str, header: str) -> None:
    login = _config(lines).login(URL)
    assert login
    assert login.authorization == header


def test_the_longest_path_wins_whatever_the_form() -> None:
    config = _config(
        "//npm.corp.example/:_authToken=short\n//npm.corp.example/repo/npm/:_auth=bG9uZzpw"
    )
    login = config.login(URL)
    assert login
    assert login.authorization == "Basic bG9uZzpw"


@pytest.mark.parametrize(
    "line",
    [
        "//other.example/:_authToken=t",
        "//npm.corp.example:8443/:_authToken=t",
        "//npm.corp.example/repo/npm-other/:_authToken=t",
        "//npm.corp.example/re/:_authToken=t",
        "//corp.example/:_authToken=t",
        "_authToken=t",
        "//npm.corp.example/:_password=cA==",
        "//npm.corp.example/:_authToken=",
    ],
)
def test_logins_for_other_places_or_half_ones_are_not_used(line: str) -> None:
    assert _config(line).login(URL) is None


def test_a_login_may_come_from_a_variable(home: Path, project: Path) -> None:
    environ = {"HOME": str(home), "npm_config_//npm.corp.example/:_authToken": TOKEN}
    login = npmrc.load(environ, project, None).login(URL)
    assert login
    assert login.authorization == f"Bearer {TOKEN}"
    assert login.source == "the variable npm_config_//npm.corp.example/:_authToken"


def test_a_login_in_the_registrys_own_address_is_used_and_cut_from_it() -> None:
    config = _config("registry=https://me:p%40ss@npm.corp.example/n/")
    assert config.registry("x") == "https://npm.corp.example/n/"
    login = config.login("https://npm.corp.example/n/")
    assert login
    assert login.authorization == "Basic bWU6cEBzcw=="
    assert config.login("https://other.example/") is None


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("//npm.corp.example/:_authToken=${NPM_TOKEN}", "uses ${NPM_TOKEN}, which is not set"),
        (
            "//npm.corp.example/:username=u\n//npm.corp.example/:_password=not*base64",
            "is not base64",
        ),
        ("//npm.corp.example/:_authToken=töken", "has characters that no header can carry"),
    ],
)
def test_a_login_that_cannot_be_used_says_why_and_sends_nothing(lines: str, problem: str) -> None:
    login = _config(lines).login(URL)
    assert login
    assert (login.authorization, login.problem) == ("", problem)


def test_a_login_does_not_show_itself_when_printed() -> None:
    login = _config(f"//npm.corp.example/:_authToken={TOKEN}").login(URL)
    assert TOKEN not in repr(login)


def test_a_file_that_cannot_be_read_or_is_not_text_is_as_good_as_none(
    home: Path, project: Path
) -> None:
    (project / ".npmrc").mkdir()
    (home / ".npmrc").write_bytes(b"\xff\xfe\x00\nregistry=https://user.example/\n")
    config = npmrc.load({"HOME": str(home)}, project, None)
    assert config.registry("x") == "https://user.example/"
