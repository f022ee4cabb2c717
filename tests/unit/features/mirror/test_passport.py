import asyncio
import base64
import json
from pathlib import Path

import httpx
import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror.passport import VARIABLE, Passport

_BASIC = {"Authorization": "Basic " + base64.b64encode(b"u:p").decode()}


def test_a_login_of_the_environment() -> None:
    assert Passport("host", {}).headers() == {}
    assert Passport("host", {VARIABLE: "u:p"}).headers() == _BASIC
    with pytest.raises(SettingsError) as raised:
        Passport("host", {VARIABLE: "the-secret"})
    assert "the-secret" not in str(raised.value)


def test_a_login_of_dockers_file_for_this_host_only(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    path = tmp_path / ".docker" / "config.json"
    path.write_text(json.dumps({"auths": {"host:5000": {"auth": "dTpw"}}, "credsStore": "x"}))
    home = {"HOME": str(tmp_path)}
    assert Passport("host:5000", home).headers() == _BASIC
    assert Passport("host", home).headers() == {}
    folder = {"DOCKER_CONFIG": str(tmp_path / ".docker")}
    assert Passport("host:5000", folder).headers() == _BASIC


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": []}', '{"auths": {"host": {"auth": "the-secret"}}}']
)
def test_a_broken_file_is_told_without_its_content(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SettingsError, match="Docker's") as raised:
        Passport("host", {"DOCKER_CONFIG": str(tmp_path)})
    assert "the-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("challenge", "answer", "got"),
    [
        ('Bearer realm="https://auth.test/t",service="s",scope="x"', {"token": "given"}, True),
        ('Bearer realm="https://auth.test/t"', {"access_token": "given"}, True),
        ('Bearer realm="http://auth.test/t"', {"token": "given"}, False),
        ('Basic realm="x"', {"token": "given"}, False),
        ("", {"token": "given"}, False),
        ('Bearer realm="https://auth.test/t"', {}, False),
        ('Bearer realm="https://auth.test/t"', [], False),
        ('Bearer realm="https://auth.test/t"', {"token": 1, "expires_in": "x"}, False),
    ],
    ids=["token", "oauth", "plain http", "basic", "none", "empty", "list", "nonsense"],
)
def test_a_token_is_fetched_as_the_registry_says(challenge: str, answer: object, got: bool) -> None:
    asked: list[httpx.Request] = []

    def give(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=answer)

    async def play() -> None:
        passport = Passport("host", {VARIABLE: "u:p"})
        refusal = httpx.Response(
            401,
            headers={"WWW-Authenticate": challenge},
            request=httpx.Request("GET", "https://host/v2/"),
        )
        async with httpx.AsyncClient(transport=httpx.MockTransport(give)) as client:
            assert await passport.renew(client, refusal) is got
        assert passport.headers() == ({"Authorization": "Bearer given"} if got else _BASIC)

    asyncio.run(play())
    assert not any(request.url.scheme == "http" for request in asked)
