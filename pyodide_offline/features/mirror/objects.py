"""A depot in an object store that speaks S3: any number of fronts, on any machines.

Create-only and compare-and-swap are the store's own conditional writes (If-None-Match,
If-Match). A store without them serves one front only, which then lets its own processes
pass one after the other. Uploads carry a SHA-256, which the store compares.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from pyodide_offline.errors import DepotDownError, SettingsError
from pyodide_offline.features.mirror import names
from pyodide_offline.features.mirror.account import Account
from pyodide_offline.features.mirror.depot import SMALL, Entry
from pyodide_offline.features.mirror.turnstile import Turnstile

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig

_CHUNK = 1 << 18
# Of an upload so many parts of this size are in memory at once.
_PART = 8 << 20
_PARTS = 2


class ObjectDepot:
    """The bucket. With a turnstile the store's conditional writes are not used."""

    def __init__(self, account: Account, turnstile: Turnstile | None = None) -> None:
        self.label = account.label
        self._store = _store(account)
        self._turnstile = turnstile

    async def head(self, key: str) -> Entry | None:
        """Say whether a key is there."""
        names.checked(key)
        with _told(self.label):
            try:
                found = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return Entry(key, found["size"], found["e_tag"])

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return a small value and its etag."""
        names.checked(key)
        with _told(self.label):
            try:
                found = await obstore.get_async(self._store, key)
            except FileNotFoundError:
                return None
            if found.meta["size"] > SMALL:
                raise DepotDownError(f"The mirror's store ({self.label}) has too much at {key}.")
            return bytes(await found.bytes_async()), found.meta["e_tag"] or ""

    async def read(
        self, key: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop``; KeyError for what is not there."""
        names.checked(key)
        whole = start == 0 and stop is None
        with _told(self.label):
            if not whole:
                entry = await self.head(key)
                if entry is None:
                    raise KeyError(key)
                stop = entry.size if stop is None else min(stop, entry.size)
                if start >= stop:  # S3 refuses a range without a byte in it
                    return
            try:
                found = await obstore.get_async(
                    self._store,
                    key,
                    options=None if whole else {"range": (start, stop or 0)},
                )
            except FileNotFoundError:
                raise KeyError(key) from None
            first, last = found.range
            left = last - first
            async for data in found.stream(_CHUNK):
                left -= len(data)
                yield bytes(data)
            if left:
                raise DepotDownError(f"The mirror's store ({self.label}) gave a part of {key}.")

    async def create(self, key: str, source: bytes | Path) -> bool:
        """Write a key that is not there; False if it was, whatever its value."""
        names.checked(key)
        if self._turnstile is None:
            # A file that is there need not be sent to be refused.
            if isinstance(source, Path) and await self.head(key) is not None:
                return False
            return await self._put(key, source, "create") is not None
        async with self._turnstile.passed(key):
            if await self.head(key) is not None:
                return False
            return await self._put(key, source, "overwrite") is not None

    async def swap(self, key: str, value: bytes, etag: str | None) -> str | None:
        """Replace the value of this etag (None: create); return the new etag, None if lost."""
        names.checked(key)
        if self._turnstile is None:
            return await self._put(key, value, "create" if etag is None else {"e_tag": etag})
        async with self._turnstile.passed(key):
            found = await self.head(key)
            if (found.etag if found else None) != etag:
                return None
            return await self._put(key, value, "overwrite")

    async def remove(self, key: str) -> None:
        """Remove a key; nothing happens when it is not there."""
        names.checked(key)
        with _told(self.label), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def list(self, prefix: str) -> AsyncIterator[Entry]:
        """Yield what lies under a prefix (empty, or ending with ``/``), in no order."""
        names.checked_prefix(prefix)
        with _told(self.label):
            async for batch in obstore.list(self._store, prefix.rstrip("/") or None):
                for one in batch:
                    yield Entry(one["path"], one["size"], one["e_tag"])

    async def local_path(self, key: str) -> Path | None:
        """Return None: what a store holds is nowhere a file."""
        names.checked(key)
        return None

    async def close(self) -> None:
        """Do nothing: connections end with the object."""

    async def _put(self, key: str, source: bytes | Path, mode: "PutMode") -> str | None:
        small = isinstance(source, bytes) or await asyncio.to_thread(_is_small, source)
        data = source if isinstance(source, bytes) or not small else source.read_bytes()
        with _told(self.label):
            try:
                put = await obstore.put_async(
                    self._store,
                    key,
                    data,
                    mode=mode,
                    use_multipart=not small,
                    chunk_size=_PART,
                    max_concurrency=_PARTS,
                )
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError as error:
                if isinstance(mode, dict):
                    return None  # what is to be replaced is not there (AWS: 404)
                raise DepotDownError(
                    f"The mirror's store ({self.label}) has no such bucket.",
                    next_step="Make the bucket, or name another one with --store.",
                ) from error
        return put["e_tag"] or ""


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= _PART


def _store(account: Account) -> S3Store:
    client: ClientConfig = {
        "allow_http": account.endpoint.startswith("http:"),
        "connect_timeout": "2s",
        "read_timeout": "10s",
        "timeout": "1h",
    }
    if account.ca is not None:
        try:
            client["root_certificate"] = account.ca.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"AWS_CA_BUNDLE names {account.ca}, which cannot be read: {error.strerror}."
            ) from error
    settings: dict[str, Any] = {}
    if account.endpoint:
        settings["endpoint"] = account.endpoint
        settings["skip_signature"] = not account.key
    if account.key:
        settings["access_key_id"] = account.key
        settings["secret_access_key"] = account.secret
    if account.token:
        settings["session_token"] = account.token
    with _told(account.label):
        return S3Store(
            account.bucket,
            prefix=account.prefix or None,
            region=account.region,
            checksum_algorithm="SHA256",
            client_options=client,
            # A front tells its clients within seconds; the next request asks again.
            retry_config={
                "max_retries": 2,
                "retry_timeout": timedelta(seconds=2),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=1),
                    "base": 2,
                },
            },
            **settings,
        )


@contextmanager
def _told(label: str) -> Iterator[None]:
    """Turn what obstore says into DepotDownError: its first words only, which hold no keys."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        raise DepotDownError(
            f"The mirror's store ({label}) cannot be used: {_reason(str(error))}.",
            next_step="See that it runs, that the bucket is there, and whose keys are set.",
        ) from error


def _reason(said: str) -> str:
    if status := re.search(r"status code: (\d{3} [A-Za-z ]+)", said):
        code = re.search(r"<Code>([A-Za-z]+)</Code>", said)
        return f"it answered {status[1].strip()}" + (f" ({code[1]})" if code else "")
    for words, meaning in (
        ("onnection refused", "nothing listens there"),
        ("dns error", "its name is not found"),
        ("timed out", "it does not answer in time"),
        ("certificate", "its certificate is not trusted"),
    ):
        if words in said:
            return meaning
    return "the connection broke"
