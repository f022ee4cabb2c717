from pathlib import Path

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror.account import account

_KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


def test_a_url_says_where_and_the_environment_as_whom() -> None:
    found = account("s3://bucket/a/b?endpoint=http://127.0.0.1:1/&region=x-1", _KEYS)
    assert (found.bucket, found.prefix, found.endpoint) == ("bucket", "a/b", "http://127.0.0.1:1")
    assert (found.region, found.key, found.secret) == ("x-1", "the-key", "the-secret")
    assert found.label == "s3://bucket/a/b at http://127.0.0.1:1"
    assert "the-" not in repr(found) + found.label


def test_profiles_of_awss_files(tmp_path: Path) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        "[default]\nregion = d-1\n[profile ci]\nregion = ci-1\nendpoint_url = https://s3.test\n"
    )
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = ds%s\n"
        "[ci]\naws_access_key_id=c\naws_secret_access_key=cs\naws_session_token=t\n"
    )
    home = {"HOME": str(tmp_path)}
    found = account("s3://bucket", home)
    assert (found.key, found.secret, found.token) == ("d", "ds%s", "")
    assert (found.region, found.endpoint) == ("d-1", "")
    found = account("s3://bucket", {**home, "AWS_PROFILE": "ci"})
    assert (found.key, found.secret, found.token) == ("c", "cs", "t")
    assert (found.region, found.endpoint) == ("ci-1", "https://s3.test")
    # Keys are a set: those of the environment take nothing from a file.
    found = account("s3://bucket", {**home, **_KEYS, "AWS_PROFILE": "ci"})
    assert (found.key, found.secret, found.token) == ("the-key", "the-secret", "")
    moved = {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"), "HOME": "/nonexistent"}
    assert account("s3://bucket", moved).key == "d"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://key:the-secret@bucket", "holds a login"),
        ("s3://bucket?endpoint=https://key:the-secret@host", "holds a login"),
        ("s3://bucket?endpoint=ftp://host", "not an http"),
        ("s3://bucket?endpoint=localhost", "not an http"),
        ("s3://bucket?secret=the-secret", "not known: secret"),
        ("s3:///prefix", "no bucket"),
        ("s3://bu%20cket", "no bucket"),
        ("s3://bucket/../x", "prefix"),
        ("s3://bucket/A", "prefix"),
    ],
    ids=[
        "login",
        "login of the endpoint",
        "scheme",
        "no scheme",
        "option",
        "none",
        "odd",
        "out",
        "capitals",
    ],
)
def test_what_cannot_be_is_told_without_secrets(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        account(url, {})
    assert "the-secret" not in str(raised.value)


def test_a_broken_file_is_told_without_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("aws_secret_access_key = the-secret\n")
    with pytest.raises(SettingsError, match="cannot be read") as raised:
        account("s3://bucket", {"AWS_SHARED_CREDENTIALS_FILE": str(path)})
    assert "the-secret" not in str(raised.value)
