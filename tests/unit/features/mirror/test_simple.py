"""The simple index in both forms from either form, and files by their digest."""

import hashlib
import json

import pytest

from pyodide_offline.features.mirror.projects import JSON
from tests.peers.fronts import ask, front, played
from tests.peers.registry import Answer, Registry

WHEEL = b"wheel" * 1000
META = b"Metadata-Version: 2.1\n"
SHA, META_SHA = hashlib.sha256(WHEEL).hexdigest(), hashlib.sha256(META).hexdigest()
NAME = "a_b-1.0-py3-none-any.whl"
FILE = f"/files/{SHA}/{NAME}"


def page(kind):
    if kind == "html":
        link = (
            f'<a href="/f/{NAME}#sha256={SHA}" data-requires-python="&gt;=3" data-yanked="bad"'
            f' data-core-metadata="sha256={META_SHA}">{NAME}</a>'
            f'<a href="/f/a_b-0.9.tar.gz">a_b-0.9.tar.gz</a>'
        )
        return Answer(
            200, f"<html><body>{link}</body></html>".encode(), {"Content-Type": "text/html"}
        )
    file = {
        "filename": NAME,
        "url": f"/f/{NAME}",
        "hashes": {"sha256": SHA},
        "requires-python": ">=3",
        "yanked": "bad",
        "core-metadata": {"sha256": META_SHA},
        "size": len(WHEEL),
    }
    document = {"meta": {"api-version": "1.1"}, "name": "a-b", "files": [file], "versions": ["1.0"]}
    return Answer(200, json.dumps(document).encode(), {"Content-Type": JSON})


def index(registry, kind="json"):
    registry.script("/simple/a-b/", page(kind))
    registry.script(f"/f/{NAME}", Answer(200, WHEEL))
    registry.script(f"/f/{NAME}.metadata", Answer(200, META))
    return {"pypi": f"{registry.origin}/simple/", "npm": registry.url}


@pytest.mark.parametrize("kind", ["html", "json"])
def test_either_form_of_either_upstream(session, tmp_path, kind):
    async def scene():
        with Registry() as registry:
            async with front(session, tmp_path, upstreams=index(registry, kind)) as made:
                got = await ask(made.app, "/simple/A_B/", headers={"accept": f"{JSON}, */*;q=0.1"})
                assert got.headers["content-type"] == JSON
                (file,) = json.loads(got.body)["files"]
                assert file["url"] == f"../..{FILE}"
                assert file["hashes"] == {"sha256": SHA}
                assert (file["requires-python"], file["yanked"]) == (">=3", "bad")
                assert file["core-metadata"] == {"sha256": META_SHA}
                text = (await ask(made.app, "/simple/a-b/")).body.decode()
                assert f'href="../..{FILE}#sha256={SHA}"' in text
                assert 'data-requires-python="&gt;=3"' in text
                assert f'data-core-metadata="sha256={META_SHA}"' in text
                assert 'data-yanked="bad"' in text
                assert registry.paths() == ["/simple/a-b/"]

    played(scene)


def test_files_and_their_metadata(session, tmp_path):
    async def scene():
        with Registry() as registry:
            async with front(session, tmp_path, upstreams=index(registry)) as made:
                assert (await ask(made.app, FILE)).body == WHEEL
                assert (await ask(made.app, f"{FILE}.metadata")).body == META
                assert (await ask(made.app, "/simple/")).body.count(b'<a href="a-b/">') == 1
                listed = await ask(made.app, "/simple/", headers={"accept": JSON})
                assert json.loads(listed.body)["projects"] == [{"name": "a-b"}]
                for path in (
                    f"/files/{'0' * 64}/{NAME}",
                    f"/files/{SHA}/other-1.0.tar.gz",
                    f"/files/{SHA}/nonsense",
                    "/files/x/y",
                    f"/files/{SHA}/",
                    "/simple/a.b..",
                    f"/files/{SHA}/a/b.whl",
                ):
                    assert (await ask(made.app, path)).status in (400, 404), path

    played(scene)


def test_a_page_without_its_slash_is_elsewhere(session, tmp_path):
    async def scene():
        with Registry() as registry:
            async with front(session, tmp_path, upstreams=index(registry)) as made:
                got = await ask(made.app, "/simple/a-b")
                assert (got.status, got.headers["location"]) == (301, "a-b/")

    played(scene)


def test_an_index_that_is_down_leaves_the_old_one(session, tmp_path):
    async def scene():
        with Registry() as registry:
            async with front(session, tmp_path, upstreams=index(registry), fresh=0) as made:
                before = await ask(made.app, "/simple/a-b/")
                registry.script("/simple/a-b/", Answer(500))
                after = await ask(made.app, "/simple/a-b/")
                assert (after.status, after.body) == (200, before.body)
                assert "500" in after.headers["warning"]

    played(scene)


def test_a_wrong_file_reaches_nobody(session, tmp_path):
    async def scene():
        with Registry() as registry:
            upstreams = index(registry)
            registry.script(f"/f/{NAME}", Answer(200, WHEEL[:-1] + b"x"))
            async with front(session, tmp_path, upstreams=upstreams) as made:
                got = await ask(made.app, FILE)
                assert got.status == 502
                assert WHEEL[:10] not in got.body

    played(scene)
