"""Secrets are found where people keep them, and taken out wherever they stand."""

import base64

import pytest

from pyodide_offline.features.doctor import secrets


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / ".config" / "pip").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".npmrc", "//r.test/:_authToken=S3cretValue\n"),
        (".npmrc", '//r.test/:_password="S3cretValue"\n'),
        (".npmrc", "//r.test/:_auth = S3cretValue\n"),
        (".npmrc", "proxy=http://ada:S3cretValue@p.test:80\n"),
        (".netrc", "machine r.test login ada password S3cretValue\n"),
        (".netrc", "machine r.test\n  login ada\n  password S3cretValue\n"),
        (".config/pip/pip.conf", "[global]\nindex-url = https://S3cretValue@r.test/simple\n"),
        (".config/pip/pip.conf", "[global]\nextra-index-url = https://a:S3cretValue@r.test/\n"),
        (".curlrc", 'proxy-password = "S3cretValue"\n'),
    ],
)
def test_files_of_the_user(home, tmp_path, file, text):
    (home / file).write_text(text)
    assert "S3cretValue" in secrets.known({"HOME": str(home)}, tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOUDFLARE_API_TOKEN", "S3cretValue"),
        ("HTTPS_PROXY", "http://ada:S3cretValue@p.test:3128"),
        ("PIP_INDEX_URL", "https://S3cretValue@r.test/simple"),
        ("SOME_URL", "https://r.test/x?sig=S3cretValue&b=1"),
        ("MY_PASSWORD", "S3cretValue"),
    ],
)
def test_variables(home, tmp_path, name, value):
    assert "S3cretValue" in secrets.known({"HOME": str(home), name: value}, tmp_path)


def test_files_of_the_project_and_named_ones(home, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / ".dev.vars").write_text('API_KEY="One-secret"\n')
    (tmp_path / "pip").write_text("[global]\nindex-url = https://a:Two-secret@r.test/\n")
    environ = {"HOME": str(home), "PIP_CONFIG_FILE": str(tmp_path / "pip")}
    assert {"One-secret", "Two-secret"} <= secrets.known(environ, project)


def test_each_form_of_a_secret_goes():
    hidden = frozenset(secrets._forms("p%40ss/word"))
    encoded = base64.b64encode(b"p@ss/word").decode()
    for text in ("p%40ss/word", "p@ss/word", "p%40ss%2Fword", encoded):
        assert "***" in secrets.scrub(f"<{text}>", hidden)


def test_short_words_stay_and_home_becomes_a_tilde(tmp_path):
    hidden = secrets.known({"A_TOKEN": "abc", "HOME": "/home/ada"}, tmp_path)
    assert secrets.scrub("abc in /home/ada/x", hidden, "/home/ada") == "abc in ~/x"


def test_a_path_is_no_secret(tmp_path):
    environ = {"HOME": "/h", "SSH_AUTH_SOCK": "/tmp/agent.1", "TOKEN_FILE": "/run/token"}
    assert secrets.known(environ, tmp_path) == frozenset()
