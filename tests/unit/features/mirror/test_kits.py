"""What a kit holds comes into a mirror and out of it again, byte for byte."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.digest import of_bytes, of_file
from pyodide_offline.errors import IntegrityError, PinChangedError
from pyodide_offline.features.mirror import kits
from pyodide_offline.features.mirror.serve import Front
from pyodide_offline.kits.manifest import Item
from pyodide_offline.session import Session
from tests.peers import fronts, registry, wheels

PACKAGE = {"name": "@s/one", "version": "1.0.0", "dependencies": {"two": "^2"}}


def pinned(front: Front, seen: list[tuple[str, str, Mapping[str, str]]]) -> Any:
    async def admit(kind: str, name: str, pins: Mapping[str, str]) -> None:
        seen.append((kind, name, pins))
        await front.ledger.admit(kind, name, pins)

    return admit


def unpacked(folder: Path) -> tuple[list[Item], dict[str, Path]]:
    """Return a kit's items, and where each lies."""
    tarball = registry.pack({"package/package.json": json.dumps(PACKAGE).encode()})
    (folder / "one.tgz").write_bytes(tarball)
    (folder / "bundle").write_bytes(b"a bundle")
    (folder / "python").write_bytes(b"an interpreter")
    wheel = wheels.wheel(folder, "a-wheel", requires=["x"])
    found = [
        ("npm", "@s/one", "1.0.0", "one-1.0.0.tgz", folder / "one.tgz", "sha512"),
        ("wheel", "a-wheel", "1.0", wheel.name, wheel, "sha256"),
        ("bundle", "1_2", "1", "pyodide_1_2.capnp.bin", folder / "bundle", "sha256"),
        ("python", "p", "3", "p.tar", folder / "python", "sha256"),
    ]
    items, places = [], {}
    for kind, name, version, file, path, algorithm in found:
        sha256 = of_file(path).hex
        upstream = of_file(path, algorithm).sri
        items.append(Item(kind, name, version, file, path.stat().st_size, sha256, upstream))
        places[sha256] = path
    return items, places


async def bring(front: Front, items: list[Item], places: dict[str, Path]) -> kits.Came:
    return await kits.bring(front.pull, pinned(front, []), items, places)


def test_it_is_served_as_if_upstreams_had_been_asked(session: Session, tmp_path: Path) -> None:
    items, places = unpacked(tmp_path)
    seen: list[tuple[str, str, Mapping[str, str]]] = []

    async def scene() -> None:
        async with fronts.front(session, tmp_path / "m", offline=True) as front:
            came = await kits.bring(front.pull, pinned(front, seen), items, places)
            assert (came.files, came.left_out) == (3, ("python p.tar",))
            packument = await fronts.ask(front.app, "/npm/@s/one")
            version = json.loads(packument.body)["versions"]["1.0.0"]
            assert version["dependencies"] == {"two": "^2"}
            path = version["dist"]["tarball"].partition("127.0.0.1:1")[2]
            tarball = await fronts.ask(front.app, path)
            assert of_bytes(tarball.body, "sha512").sri == version["dist"]["integrity"]
            as_json = {"accept": "application/vnd.pypi.simple.v1+json"}
            page = await fronts.ask(front.app, "/simple/a-wheel/", headers=as_json)
            (file,) = json.loads(page.body)["files"]
            address = f"/files/{file['hashes']['sha256']}/{file['filename']}"
            wheel = await fronts.ask(front.app, address)
            assert of_bytes(wheel.body).hex == file["hashes"]["sha256"]
            metadata = await fronts.ask(front.app, f"{address}.metadata")
            assert b"Requires-Dist: x" in metadata.body
            bundle = await fronts.ask(front.app, "/pyodide_1_2.capnp.bin")
            assert bundle.body == b"a bundle"

    fronts.played(scene)
    assert [(kind, name) for kind, name, _ in seen] == [
        ("npm", "@s/one"),
        ("pypi", "a-wheel"),
        ("bundle", "pyodide_1_2.capnp.bin"),
    ]


def test_twice_is_the_same_as_once(session: Session, tmp_path: Path) -> None:
    items, places = unpacked(tmp_path)

    async def scene() -> None:
        async with fronts.front(session, tmp_path / "m", offline=True) as front:
            first = await bring(front, items, places)
            before = await kits.held(front.depot, (*kits.KINDS, "npm-full", "simple"))
            assert await bring(front, items, places) == first
            assert await kits.held(front.depot, (*kits.KINDS, "npm-full", "simple")) == before

    fronts.played(scene)


@pytest.mark.parametrize("kind", ["npm", "wheel"])
def test_another_digest_of_what_is_known_changes_nothing(
    session: Session, tmp_path: Path, kind: str
) -> None:
    items, places = unpacked(tmp_path)
    (tmp_path / "other").mkdir()
    same = next(one for one in items if one.kind == kind)
    other = tmp_path / "other" / same.file
    if kind == "npm":
        other.write_bytes(registry.pack({"package/package.json": b'{"name": "@s/one"}'}))
    else:
        wheels.wheel(tmp_path / "other", "a-wheel", requires=["y"])
    sha256 = of_file(other).hex
    upstream = of_file(other, "sha512" if kind == "npm" else "sha256").sri
    changed = Item(
        same.kind, same.name, same.version, same.file, other.stat().st_size, sha256, upstream
    )

    async def scene() -> None:
        async with fronts.front(session, tmp_path / "m", offline=True) as front:
            await bring(front, items, places)
            before = await kits.held(front.depot, kits.KINDS)
            with pytest.raises(IntegrityError, match="another digest"):
                await bring(front, [changed], {sha256: other})
            assert await kits.held(front.depot, kits.KINDS) == before

    fronts.played(scene)


def test_a_pin_that_does_not_hold_stops_it_before_anything_is_kept(
    session: Session, tmp_path: Path
) -> None:
    items, places = unpacked(tmp_path)

    async def refuse(*_: object) -> None:
        raise PinChangedError("It has changed.")

    async def scene() -> None:
        async with fronts.front(session, tmp_path / "m", offline=True) as front:
            with pytest.raises(PinChangedError):
                await kits.bring(front.pull, refuse, items, places)
            assert await kits.held(front.depot, kits.KINDS) == []

    fronts.played(scene)


def test_what_came_in_goes_out_as_the_same_items(session: Session, tmp_path: Path) -> None:
    items, places = unpacked(tmp_path)

    async def scene() -> None:
        async with fronts.front(session, tmp_path / "m", offline=True) as front:
            await bring(front, items, places)
            found = [kits.item(ref) for ref in await kits.held(front.depot, kits.KINDS)]
            whole = sorted((one for one in found if one), key=lambda one: one.key)
            assert whole == sorted(items[:3], key=lambda one: one.key)

    fronts.played(scene)
