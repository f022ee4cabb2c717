"""The syntax of npm's settings."""

from pathlib import Path

import pytest

from pyodide_offline import npmfile


def test_lines_comments_quotes_and_sections_are_read_as_npm_does() -> None:
    text = """
; a comment
# another
registry = https://a.example/ ; behind a value
[section]
"quoted" = "with ; and \\u00e9"
'single'='as # it is'
escaped = one\\;two\\#three
flag
empty =
"""
    assert dict(npmfile.parse(text, {})) == {
        "registry": "https://a.example/",
        "quoted": "with ; and é",
        "single": "as # it is",
        "escaped": "one;two#three",
        "flag": "true",
        "empty": "",
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${SET}", "value"),
        ("a-${SET}-${SET}", "a-value-value"),
        ("${UNSET}", "${UNSET}"),
        ("${UNSET?}", ""),
        ("${SET?}", "value"),
        (r"\${SET}", "${SET}"),
        ("$SET", "$SET"),
    ],
)
def test_variables_in_values_are_replaced(written: str, read: str) -> None:
    assert dict(npmfile.parse(f"k={written}", {"SET": "value"})) == {"k": read}


def test_variables_are_settings_in_any_case_and_empty_ones_are_none() -> None:
    environ = {
        "npm_config_https_proxy": "a",
        "NPM_CONFIG_NoProxy": "b",
        "npm_config_//host/:_authToken": "c",
        "npm_config_proxy": "",
        "PROXY": "d",
    }
    assert list(npmfile.variables(environ)) == [
        ("https-proxy", "a", "npm_config_https_proxy"),
        ("noproxy", "b", "NPM_CONFIG_NoProxy"),
        ("//host/:_authToken", "c", "npm_config_//host/:_authToken"),
    ]


def test_the_project_is_the_nearest_folder_with_a_package(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert npmfile.project_root(below) == below
    (tmp_path / "a" / "package.json").touch()
    assert npmfile.project_root(below) == tmp_path / "a"
