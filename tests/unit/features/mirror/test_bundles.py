"""workerd's bundles: the first that came under a name stays."""

from dataclasses import replace
from hashlib import sha256

from pyodide_offline.features.mirror.names import blob_key, ref_key
from pyodide_offline.features.mirror.refs import decode
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry

NAME = "pyodide_314.0.0_2026-01-01_1.capnp.bin"


def test_the_first_one_stays(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script(
                f"/{NAME}", Answer(200, b"first" * 50_000), Answer(200, b"other" * 50_000)
            )
            where = {"upstreams": {"bundles": registry.url, "pypi": registry.url}}
            async with front(session, tmp_path / "1", store=tmp_path / "depot", **where) as made:
                assert (await ask(made.app, f"/{NAME}")).body == b"first" * 50_000
                await made.pull.idle()
                assert (await ask(made.app, f"/{NAME}")).body == b"first" * 50_000
                held = made.pull.held("bundle", NAME)
                assert held
                await made.depot.remove(
                    f"refs/bundle/{NAME}".lower().replace("/pyodide", "/pyodide")
                )
                held.path.unlink()
                # Fetched again, it is another one: nobody gets it whole.
                got = await ask(made.app, f"/{NAME}")
                assert not (got.status == 200 and got.whole)
                assert made.events.errors

    played(scene)


def test_what_somebody_put_into_the_store_is_not_given_out(session, tmp_path):
    async def scene():
        with Registry() as registry:
            registry.script(f"/{NAME}", Answer(200, b"first" * 50_000))
            where = {"upstreams": {"bundles": registry.url, "pypi": registry.url}}
            store = tmp_path / "depot"
            async with front(session, tmp_path / "1", store=store, **where) as made:
                assert (await ask(made.app, f"/{NAME}")).body == b"first" * 50_000
                await made.pull.idle()
            async with front(session, tmp_path / "2", store=store, offline=True, **where) as made:
                assert (await ask(made.app, f"/{NAME}")).body == b"first" * 50_000
                forged = b"other" * 50_000
                digest = sha256(forged).hexdigest()
                await made.depot.create(blob_key("sha256", digest), forged)
                there = await made.depot.get(ref_key("bundle", NAME))
                assert there is not None
                put = replace(decode(there[0], "bundle", NAME), digest=digest)
                await made.depot.swap(ref_key("bundle", NAME), put.encode(), there[1])
            async with front(session, tmp_path / "3", store=store, offline=True, **where) as made:
                for _ in range(2):
                    got = await ask(made.app, f"/{NAME}")
                    assert (got.status, b"otherother" in got.body) == (502, False)

    played(scene)


def test_what_a_workerd_without_digests_fetches_besides(session, tmp_path):
    path = "/python-package-bucket/20250808/ssl-1.0.0-cp313-cp313-pyodide_2025_0_wasm32.tar.gz"

    async def scene():
        with Registry() as registry:
            registry.script(path, Answer(200, b"a part"))
            upstreams = {"bundles": registry.url, "pypi": registry.url}
            async with front(session, tmp_path, upstreams=upstreams) as made:
                for _ in range(2):
                    assert (await ask(made.app, path)).body == b"a part"
                for wrong in ("/python-package-bucket/ssl.tar.gz", "/python-package-bucket/",
                              "/python-package-bucket/20250808/../ssl.tar.gz"):  # fmt: skip
                    assert (await ask(made.app, wrong)).status in (400, 404), wrong
            assert registry.paths() == [path]

    played(scene)


def test_other_names_are_nothing(session, tmp_path):
    async def scene():
        async with front(session, tmp_path) as made:
            for path in ("/x.bin", "/.capnp.bin", "/a/b.capnp.bin", "/%2e.capnp.bin"):
                assert (await ask(made.app, path)).status in (400, 404), path

    played(scene)


def test_one_that_cannot_be_had_is_not_asked_for_again_by_clients(session, tmp_path):
    async def scene():
        async with front(session, tmp_path, upstreams={"bundles": "http://127.0.0.1:9/"}) as made:
            got = await ask(made.app, f"/{NAME}")
            assert got.status == 404
            assert b"127.0.0.1:9" in got.body
            await made.pull.idle()
            assert made.events.errors  # an operator hears of it all the same

    played(scene)
