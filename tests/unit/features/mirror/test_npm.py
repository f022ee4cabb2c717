"""npm's routes: packuments whose tarballs are here, both forms, versions, names with a scope."""

import json

import pytest

from pyodide_offline.errors import RegistryError
from pyodide_offline.features.mirror import npm
from pyodide_offline.features.mirror.npm import SHORT, Tarball
from pyodide_offline.features.mirror.upstream import Source
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry, integrity


def test_a_packument_names_this_mirror(session, tmp_path):
    async def scene():
        with Registry() as registry:
            body = registry.add("@s/a", "1.0.0")
            registry.tarball_host = "http://elsewhere.example"
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                for path in ("/npm/@s/a", "/npm/@s%2fa".replace("%2f", "/")):
                    got = await ask(made.app, path, headers={"host": "127.0.0.1:99"})
                    dist = json.loads(got.body)["versions"]["1.0.0"]["dist"]
                    assert dist["tarball"] == "http://127.0.0.1:99/npm/@s/a/-/a-1.0.0.tgz"
                    assert dist["integrity"] == integrity(body)
                # The registry itself has it, whatever host its metadata names.
                got = await ask(made.app, "/npm/@s/a/-/a-1.0.0.tgz")
                assert got.body == body
                assert registry.paths() == ["/@s%2Fa", "/@s%2Fa", "/@s/a/-/a-1.0.0.tgz"]

    played(scene)


def test_both_forms_are_asked_for_as_they_are_wanted(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                short = await ask(made.app, "/npm/a", headers={"accept": f"{SHORT}, */*"})
                full = await ask(made.app, "/npm/a", headers={"accept": "*/*"})
                assert short.headers["content-type"] == SHORT
                assert full.headers["content-type"] == "application/json"
                asked = [one.headers["accept"].partition(",")[0] for one in registry.requests]
                assert asked == [SHORT, "application/json"]
                etag = {"if-none-match": full.headers["etag"]}
                assert (await ask(made.app, "/npm/a", headers=etag)).status == 304

    played(scene)


def test_one_version_and_what_is_not_there(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                got = await ask(made.app, "/npm/a/1.0.0")
                assert json.loads(got.body)["version"] == "1.0.0"
                for path in (
                    "/npm/a/2.0.0",
                    "/npm/a/-/a-2.0.0.tgz",
                    "/npm/b",
                    "/npm/",
                    "/npm/-/ping",
                    "/npm/a/-/x",
                    "/npm/a/-/b/c.tgz",
                    "/npm/%00",
                    "/npm/@s",
                ):
                    assert (await ask(made.app, path)).status in (400, 404), path

    played(scene)


def test_the_token_stays_with_the_registry(session, tmp_path, monkeypatch):
    async def scene():
        with Registry() as registry:
            registry.token = "s3cret"
            body = registry.add("a", "1.0.0")
            host = registry.url.removeprefix("http:")
            npmrc = f"registry={registry.url}\n{host}:_authToken=s3cret\n"
            (session.project / ".npmrc").write_text(npmrc)
            where = {"pypi": "http://127.0.0.1:9/"}
            async with front(session, tmp_path, upstreams=where, alone=False) as made:
                got = await ask(made.app, "/npm/a/-/a-1.0.0.tgz")
                assert got.body == body
                assert {one.authorization for one in registry.requests} == {"Bearer s3cret"}

    played(scene)


def test_a_changed_digest_is_refused_and_the_old_index_stays(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.add("a", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}, fresh=0) as made:
                before = await ask(made.app, "/npm/a")
                registry.add("a", "1.0.0", files={"package/package.json": b'{"evil": 1}'})
                after = await ask(made.app, "/npm/a")
                assert after.body == before.body
                assert after.headers["warning"].startswith("111 ")
                assert "warning" not in before.headers

    played(scene)


def test_what_is_no_packument(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script("/a", Answer(200, b"<html>"))
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                assert (await ask(made.app, "/npm/a")).status == 502

    played(scene)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"versions": {"1": {}}}', b"[" * 100_000])
def test_reading_refuses(body):
    with pytest.raises(RegistryError):
        npm.read(body, "a")


def test_odd_tarball_names_get_ours():
    described = {"dist": {"tarball": "https://r.example/download/a/1.0.0/abc", "shasum": "0" * 40}}
    found = npm.read(json.dumps({"versions": {"1.0.0": described}}).encode(), "@s/a")
    ((file, tarball),) = found.tarballs.items()
    assert file == "a-1.0.0.tgz"
    assert tarball.expected
    assert tarball.expected.algorithm == "sha1"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("a", ("a", "")),
        ("@s/a", ("@s/a", "")),
        ("@s/a/-/a.tgz", ("@s/a", "-/a.tgz")),
        ("a/1.0.0", ("a", "1.0.0")),
        ("..", ("", "")),
        ("@s", ("", "")),
        ("-/ping", ("", "")),
        ("a b", ("", "")),
    ],
)
def test_names(path, meant):
    assert npm.split(path) == meant


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("api/npm/a/-/a-1.tgz", ("a", "-/a-1.tgz")),
        ("repository/team/@s/a/-/a-1.tgz", ("@s/a", "-/a-1.tgz")),
        ("x/../-/a-1.tgz", ("", "")),
        ("x//-/a-1.tgz", ("", "")),
    ],
)
def test_a_lock_of_another_registry_has_its_folders_before_the_name(path, meant):
    assert npm.tail(path) == meant


def test_an_archive_is_had_by_the_address_that_another_registrys_lock_has(session, tmp_path):
    async def scene():
        with Registry() as registry:
            body = registry.add("@s/a", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                got = await ask(made.app, "/npm/api/npm/@s/a/-/a-1.0.0.tgz")
                assert got.body == body
                assert (await ask(made.app, "/npm/api/npm/b/-/b-1.0.0.tgz")).status != 200

    played(scene)


def test_where_a_tarball_is():
    registry = Source("https://r.example/npm/", {"Authorization": "x"})
    here = npm._sources(registry, Tarball("1", "https://r.example/npm/a/-/a-1.tgz", None))
    assert [(one.url, dict(one.headers)) for one in here] == [
        ("https://r.example/npm/a/-/a-1.tgz", {"Authorization": "x"})
    ]
    there = npm._sources(registry, Tarball("1", "https://o.example/a/-/a-1.tgz", None))
    assert [one.url for one in there] == [
        "https://r.example/npm/a/-/a-1.tgz",
        "https://r.example/a/-/a-1.tgz",
        "https://o.example/a/-/a-1.tgz",
    ]
    assert there[-1].headers == {}
