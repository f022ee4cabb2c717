"""Proxies in npm's and pip's settings."""

import os
from pathlib import Path

import pytest

from pyodide_offline.network import borrowed
from pyodide_offline.network.borrowed import Text, of_npm, of_pip, read
from pyodide_offline.network.proxies import Borrowed


def _told(found: list[Borrowed]) -> dict[str, tuple[str, str]]:
    return {one.scheme: (one.value, one.origin) for one in found}


def test_npms_two_proxies_stand_in_for_each_other() -> None:
    both = [Text("rc", "proxy=http://plain:1\nhttps-proxy=http://secure:2\n")]
    assert _told(of_npm({}, both)) == {
        "https": ("http://secure:2", "https-proxy in rc"),
        "http": ("http://plain:1", "proxy in rc"),
    }
    for key in ("proxy", "https-proxy"):
        one = [Text("rc", f"{key}=http://it:1\n")]
        assert {value for value, _ in _told(of_npm({}, one)).values()} == {"http://it:1"}


def test_npms_variables_go_before_the_files_and_those_in_their_order() -> None:
    files = [Text("project", "https-proxy=http://p:1"), Text("user", "https-proxy=http://u:1")]
    assert _told(of_npm({}, files))["https"] == ("http://p:1", "https-proxy in project")
    environ = {"NPM_CONFIG_HTTPS_PROXY": "http://v:1"}
    assert _told(of_npm(environ, files))["https"] == ("http://v:1", "NPM_CONFIG_HTTPS_PROXY")


@pytest.mark.parametrize("value", ["null", "false", "", "${NOT_SET}"])
def test_npm_has_words_for_none(value: str) -> None:
    assert of_npm({}, [Text("rc", f"proxy={value}\nhttps-proxy={value}\n")]) == []


def test_npms_noproxy_belongs_to_npms_proxies() -> None:
    files = [Text("rc", "proxy=http://p:1\nnoproxy=.corp,localhost\n")]
    assert {one.no_proxy for one in of_npm({}, files)} == {".corp,localhost"}
    assert of_pip({"PIP_PROXY": "http://p:1"}, [])[0].no_proxy == ""


def test_pips_variable_then_install_then_global() -> None:
    user = Text("user", "[global]\nproxy = http://user:1\n")
    site = Text("site", "[global]\nproxy: http://site:1\n")
    section = Text("machine", "[install]\nproxy = http://install:1\n")
    assert _told(of_pip({}, [site, user])) == {"": ("http://site:1", "global.proxy in site")}
    found = _told(of_pip({}, [site, user, section]))
    assert found == {"": ("http://install:1", "install.proxy in machine")}
    environ = {"PIP_PROXY": "http://v:1"}
    assert _told(of_pip(environ, [section])) == {"": ("http://v:1", "PIP_PROXY")}


def test_a_file_that_is_no_configuration_names_none() -> None:
    assert of_pip({}, [Text("broken", "proxy = http://no-section:1\n[")]) == []


def test_the_files_are_found_where_npm_and_pip_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    project, home = tmp_path / "project", tmp_path / "user"
    places = {
        project / ".npmrc": "https-proxy=http://project:1",
        home / ".npmrc": "proxy=http://user:1",
        home / ".config" / "pip" / "pip.conf": "[global]\nproxy = http://pip:1",
    }
    for place, content in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
    environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    assert [(one.scheme, one.value) for one in read(environ, project)] == [
        ("https", "http://project:1"),
        ("http", "http://user:1"),
        ("", "http://pip:1"),
    ]
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pip.conf").write_text("[global]\nproxy = http://venv:1")
    assert read(environ, project)[-1].value == "http://venv:1"
    named = tmp_path / "named.conf"
    named.write_text("[global]\nproxy = http://named:1")
    assert read({**environ, "PIP_CONFIG_FILE": str(named)}, project)[-1].value == "http://named:1"
    none = read({**environ, "PIP_CONFIG_FILE": os.devnull}, project)
    assert [one.scheme for one in none] == ["https", "http"]


def test_npms_machine_wide_file_lies_beside_its_node(tmp_path: Path) -> None:
    node = tmp_path / "node" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.touch()
    files = borrowed.npm_files({"PATH": f":{node.parent}"}, tmp_path)
    assert files[-1] == tmp_path / "node" / "etc" / "npmrc"
    named = borrowed.npm_files({"npm_config_prefix": "/p", "npm_config_userconfig": "/u"}, tmp_path)
    assert named[1:] == [Path("/u"), Path("/p/etc/npmrc")]


def test_a_password_in_them_is_not_shown() -> None:
    found = of_pip({"PIP_PROXY": "http://joe:hunter2@proxy:1"}, [])
    assert "hunter2" not in repr(found)
