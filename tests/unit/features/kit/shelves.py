"""A shelf for tests: two versions of an npm package with a scope, and a wheel."""

import hashlib
import json
from pathlib import Path

from pyodide_offline.digest import of_bytes
from pyodide_offline.features.kit.shelf import Shelf
from pyodide_offline.kits.manifest import Item
from tests.peers import wheels
from tests.peers.registry import pack

WHEEL = "some_thing-1.0-py3-none-any.whl"
# Where somebody's lock has them: neither tells what it is.
ODD_TARBALL = "https://npm.example/download/42"
ODD_WHEEL = "https://files.example/ab/cd/some_thing-1.0-py3-none-any.whl"


def item(kind: str, name: str, version: str, file: str, data: bytes) -> Item:
    digest = hashlib.sha256(data).hexdigest()
    upstream = of_bytes(data, "sha512").sri
    return Item(kind, name, version, file, len(data), digest, upstream)


def shelf(folder: Path) -> Shelf:
    found = []
    for version in ("1.9.0", "1.10.0"):
        manifest = {"name": "@s/one", "version": version, "bin": {"one": "one.js"}}
        data = pack({"package/package.json": json.dumps(manifest).encode()})
        found.append((item("npm", "@s/one", version, f"one-{version}.tgz", data), data))
    wheel = wheels.wheel(folder / "wheels", "some-thing").read_bytes()
    found.append((item("wheel", "some-thing", "1.0", WHEEL, wheel), wheel))
    places = {}
    for one, data in found:
        places[one.sha256] = folder / one.sha256
        places[one.sha256].write_bytes(data)
    items = [one for one, _ in found]
    return Shelf(items, places, {ODD_TARBALL: items[0], ODD_WHEEL: items[2]})
