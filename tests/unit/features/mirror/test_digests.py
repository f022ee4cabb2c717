"""What is held, by its digest."""

from pyodide_offline import digest as digests
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Registry


def test_by_digest(session, tmp_path):
    async def scene():
        with Registry() as registry:
            body = registry.add("a", "1.0.0")
            async with front(session, tmp_path, upstreams={"npm": registry.url}) as made:
                hex_digits = digests.of_bytes(body).hex
                assert (await ask(made.app, f"/sha256/{hex_digits}")).status == 404
                await ask(made.app, "/npm/a/-/a-1.0.0.tgz")
                await made.pull.idle()
                assert (await ask(made.app, f"/sha256/{hex_digits}")).body == body
                for path in (f"/sha256/{hex_digits.upper()}", "/sha256/x", "/sha256/"):
                    assert (await ask(made.app, path)).status == 404

    played(scene)
