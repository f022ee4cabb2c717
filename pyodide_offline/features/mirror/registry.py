"""A depot in an OCI registry, for one front.

    key → tag k-<sha256 of the key> → manifest: its annotations hold the key and a small value,
                                      or its one layer is the content, by its own digest

A registry has no conditional writes, so the processes of one front pass one after the other,
and its leases lie in a folder of its own. What a manifest names, a registry's collection of
garbage leaves alone. Nothing is deleted, for many registries allow nobody to: what was
removed has a manifest that says so.

docker-registry answers 200 with whatever its disk holds, and keeps a damaged blob although
the right one is pushed again, until its garbage is collected. The reader hashes. Of what was
collected while it ran it goes on to say that it has it: so what was written is looked at.
"""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.depot import Entry
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.repository import MANIFEST, Repository
from pyodide_offline.features.mirror.turnstile import Turnstile

_Layers = Sequence[Mapping[str, object]]
_NOTHING = b"{}"
_EMPTY = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": str(digests.of_bytes(_NOTHING)),
    "size": len(_NOTHING),
}
_OURS = "pyodide-offline."
# A manifest may have 4 MiB (docker-registry), and a value in it is in base64.
_LARGEST = 2_900_000


@dataclass(frozen=True)
class _Record:
    """What a key's manifest says; ``layer`` is empty where the value is in it."""

    key: str
    etag: str
    size: int
    layer: str
    value: bytes


class RegistryDepot:
    """The repository. ``folder`` is of this front alone: for locks and leases."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.label = repository.label
        self._repository = repository
        self._near = FolderDepot(folder / "leases")
        (folder / "locks").mkdir(parents=True, exist_ok=True)
        self._turnstile = Turnstile(folder / "locks")

    async def head(self, key: str) -> Entry | None:
        """Say whether a key is there."""
        if _is_lease(key):
            return await self._near.head(key)
        found = await self._record(key)
        return Entry(key, found.size, found.etag) if found and await self._whole(found) else None

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a small value and its etag."""
        if _is_lease(key):
            return await self._near.get(key)
        found = await self._record(key)
        if found is None:
            return None
        try:
            data = b"".join([piece async for piece in self._bytes(found, 0, found.size)])
        except KeyError:
            return None
        return data, found.etag

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``; KeyError for what is not there."""
        found = await self._record(key)
        if found is None:
            raise KeyError(key)
        stop = found.size if stop is None else min(stop, found.size)
        try:
            async for data in self._bytes(found, start, stop):
                yield data
        except KeyError:
            raise KeyError(key) from None

    async def create(self, key: str, source: bytes | Path) -> bool:
        """Write a key that is not there; False if it was, whatever its value."""
        if _is_lease(key):
            return await self._near.create(key, source)
        async with self._turnstile.passed(names.checked(key)):
            found = await self._record(key)
            if found is not None and await self._whole(found):
                return False
            await self._write(key, source)
            return True

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        """Replace the value of this etag (None: create); return the new etag, None if lost."""
        if _is_lease(key):
            return await self._near.swap(key, value, etag)
        async with self._turnstile.passed(names.checked(key)):
            found = await self._record(key)
            if (found.etag if found else None) != etag:
                return None
            return await self._write(key, value)

    async def remove(self, key: str) -> None:
        """Remove a key; nothing happens when it is not there."""
        if _is_lease(key):
            await self._near.remove(key)
            return
        async with self._turnstile.passed(names.checked(key)):
            if await self._record(key) is not None:
                await self._point(key, {"gone": "true"}, [_EMPTY])

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies under a prefix (empty, or ending with ``/``), in no order."""
        if names.checked_prefix(prefix) == "" or _is_lease(prefix):
            async for entry in self._near.list(prefix or names.LEASES):
                yield entry
        if not _is_lease(prefix):
            async for tag in self._repository.tags():
                found = await self._tagged(tag) if tag.startswith("k-") else None
                if found is not None and found.key.startswith(prefix):
                    yield Entry(found.key, found.size, found.etag)

    async def local_path(self, key: str) -> Path | None:
        """Return None: what a registry holds is nowhere a file."""
        names.checked(key)
        return None

    async def close(self) -> None:
        """Let go of connections."""
        await self._repository.close()
        await self._near.close()

    async def _record(self, key: str) -> _Record | None:
        found = await self._tagged(_tag(key))
        if found is not None and found.key != key:
            raise self._repository.down(f"what it holds for {key} is of {found.key}")
        return found

    async def _tagged(self, tag: str) -> _Record | None:
        body = await self._repository.manifest(tag)
        if body is None:
            return None
        try:
            record = json.loads(body)
            notes: dict[str, str] = record["annotations"]
            if notes.get(f"{_OURS}gone"):
                return None
            layer = record["layers"][0]
            inside = layer["digest"] == _EMPTY["digest"]
            value = base64.b64decode(notes.get(f"{_OURS}value", ""), validate=True)
            return _Record(
                key=names.checked(notes[f"{_OURS}key"]),
                etag=str(digests.of_bytes(body)),
                size=len(value) if inside else int(layer["size"]),
                layer="" if inside else str(digests.parse(layer["digest"])),
                value=value,
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._repository.down(f"the manifest {tag} is not of a mirror") from error

    async def _whole(self, record: _Record) -> bool:
        """Say whether the content is there that a manifest names: it may have been collected."""
        return not record.layer or await self._repository.holds(record.layer)

    async def _bytes(self, record: _Record, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        if not record.layer:
            yield record.value[start:stop]
            return
        async for data in self._repository.blob(record.layer, start, stop, record.size):
            yield data

    async def _write(self, key: str, source: bytes | Path) -> str:
        data = source if isinstance(source, bytes) else b""
        if isinstance(source, bytes) and not key.startswith(names.BLOBS):
            if len(data) > _LARGEST:
                raise self._repository.down(f"{key} is too large for a manifest")
            return await self._point(key, {"value": base64.b64encode(data).decode()}, [_EMPTY])
        if isinstance(source, bytes):
            digest, size = digests.of_bytes(data), len(data)
        else:
            digest, size = digests.of_file(source), source.stat().st_size
        if not size:
            return await self._point(key, {}, [_EMPTY])
        await self._repository.upload(str(digest), source, size)
        layer = {"mediaType": "application/octet-stream", "digest": str(digest), "size": size}
        return await self._point(key, {}, [layer])

    async def _point(self, key: str, notes: Mapping[str, str], layers: _Layers) -> str:
        await self._repository.upload(str(_EMPTY["digest"]), _NOTHING, len(_NOTHING))
        annotations = {f"{_OURS}{name}": text for name, text in {**notes, "key": key}.items()}
        manifest = {
            "annotations": annotations,
            "config": _EMPTY,
            "layers": layers,
            "mediaType": MANIFEST,
            "schemaVersion": 2,
        }
        for _ in range(2):
            body = json.dumps(manifest, sort_keys=True).encode()
            await self._repository.tag(_tag(key), body)
            if await self._repository.manifest(_tag(key)) == body:
                return str(digests.of_bytes(body))
            # It remembers these bytes, and has them no more: others are new to it.
            annotations[f"{_OURS}again"] = secrets.token_hex(8)
        raise self._repository.down(f"it does not keep {key}; if garbage was collected, restart it")


def _is_lease(key: str) -> bool:
    return names.checked(key.rstrip("/") or "x") == "leases" or key.startswith(names.LEASES)


def _tag(key: str) -> str:
    return f"k-{digests.of_bytes(names.checked(key).encode()).hex}"
