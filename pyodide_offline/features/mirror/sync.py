"""Filling a mirror beforehand: what locks name is asked for as clients would ask.

The mirror itself fetches, checks and keeps; here each body is hashed once more and let go.
So there is one way into a mirror, whoever begins, and one that runs somewhere else can be
filled as well as one in this process.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urljoin

from pyodide_offline.digest import Digest
from pyodide_offline.errors import IntegrityError, PyodideOfflineError, RegistryError
from pyodide_offline.features.mirror.locked import NPM, Fit, Want

AT_ONCE = 8
LARGEST_INDEX = 64 << 20
_LONGEST = 1 << 16  # bytes of an error that are read
_JSON = "application/vnd.pypi.simple.v1+json"
_ABBREVIATED = "application/vnd.npm.install-v1+json, application/json;q=0.8"


class Answer(Protocol):
    """What came: its status, and its body in pieces."""

    status: int

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, as it is on the wire."""


class Asking(Protocol):
    """A way to ask a mirror for a path of it. Raises NetworkError."""

    def __call__(
        self, path: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Answer]:
        """Ask for it; the answer's body is read inside."""


@dataclass(frozen=True)
class Bundle:
    """A bundle of workerd's: its path at the mirror, and the digest that workerd carries."""

    path: str
    digest: Digest | None


@dataclass
class Report:
    """What came of it. ``faults``: what could not be had, each with its reason."""

    files: int = 0
    size: int = 0
    faults: list[str] = field(default_factory=list)


async def fill(
    ask: Asking,
    wants: Sequence[Want],
    bundles: Sequence[Bundle],
    fit: Fit,
    heard: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ask for everything, some at once; one that fails does not stop the rest.

    ``heard`` is told each archive that has come.
    """
    report, room = Report(), asyncio.Semaphore(AT_ONCE)

    async def one(label: str, work: Callable[[], AsyncIterator[tuple[str, int]]]) -> None:
        async with room:
            try:
                async for file, size in work():
                    report.files += 1
                    report.size += size
                    heard(file)
            except PyodideOfflineError as error:
                report.faults.append(f"{label}: {error}")

    async with asyncio.TaskGroup() as group:
        for want in wants:
            take = _npm if want.kind == NPM else _python
            group.create_task(
                one(f"{want.name} {want.version}", lambda t=take, w=want: t(ask, w, fit))  # type: ignore[misc]
            )
        for bundle in bundles:
            group.create_task(one(bundle.path, lambda b=bundle: _bundle(ask, b)))  # type: ignore[misc]
    report.faults.sort()
    return report


async def save(ask: Asking, want: Want, target: Path) -> None:
    """Write a package of npm into a file. Raises IntegrityError, RegistryError, NetworkError."""
    with target.open("wb") as file:
        await _archive(ask, _tarball(want), want.digests, file.write)


async def _npm(ask: Asking, want: Want, _: Fit) -> AsyncIterator[tuple[str, int]]:
    name = quote(want.name, safe="@/")
    await _index(ask, f"/npm/{name}", {"Accept": _ABBREVIATED})
    path = _tarball(want)
    yield path.rpartition("/")[2], await _archive(ask, path, want.digests)


def _tarball(want: Want) -> str:
    file = f"{want.name.rpartition('/')[2]}-{want.version}.tgz"
    return f"/npm/{quote(want.name, safe='@/')}/-/{quote(file)}"


async def _python(ask: Asking, want: Want, fit: Fit) -> AsyncIterator[tuple[str, int]]:
    page = f"/simple/{want.name}/"
    listed = _files(page, await _index(ask, page, {"Accept": _JSON}))
    known = {one.hex: one for one in want.digests if one.algorithm == "sha256"}
    named = [one for one in listed if one.sha256 in known]
    for one in named:
        if fit.takes(one.name):
            path = urljoin(page, one.url)
            yield one.name, await _archive(ask, path, (known[one.sha256],))
            if one.metadata:
                await _index(ask, f"{path}.metadata", {})
    if not named:
        raise RegistryError(
            f"The mirror's index has no file of {want.name} {want.version} with these digests.",
            next_step="See that its upstream has it, or write the lock anew.",
        )


@dataclass(frozen=True)
class _File:
    name: str
    url: str
    sha256: str
    metadata: bool


def _files(page: str, body: bytes) -> list[_File]:
    """Read a page of the index (PEP 691)."""
    try:
        return [
            _File(
                str(one["filename"]),
                str(one["url"]).partition("#")[0],
                str(one.get("hashes", {}).get("sha256")),
                bool(one.get("core-metadata")),
            )
            for one in json.loads(body)["files"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{page} of the mirror is no page of an index in JSON.") from error


async def _bundle(ask: Asking, bundle: Bundle) -> AsyncIterator[tuple[str, int]]:
    digests = (bundle.digest,) if bundle.digest else ()
    yield bundle.path.rpartition("/")[2], await _archive(ask, bundle.path, digests)


async def _index(ask: Asking, path: str, headers: Mapping[str, str]) -> bytes:
    body = bytearray()
    async with ask(path, headers) as answer:
        await _accepted(path, answer)
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > LARGEST_INDEX:
                raise IntegrityError(f"{path} of the mirror is longer than an index may be.")
    return bytes(body)


async def _archive(
    ask: Asking,
    path: str,
    digests: Sequence[Digest],
    use: Callable[[bytes], object] = lambda _: None,
) -> int:
    """Read an archive, piece by piece; return its size. Raises IntegrityError."""
    hashers = {one.algorithm: one.hasher() for one in digests}
    size = 0
    async with ask(path, {}) as answer:
        await _accepted(path, answer)
        async for chunk in answer.chunks():
            size += len(chunk)
            use(chunk)
            for hasher in hashers.values():
                hasher.update(chunk)
    found = [Digest(name, hasher.digest()) for name, hasher in hashers.items()]
    if digests and not any(one in digests for one in found):
        raise IntegrityError(
            f"{path} of the mirror is not what the lock says.",
            why=f"Expected {digests[0].sri}, got {found[0].sri}.",
        )
    return size


async def _accepted(path: str, answer: Answer) -> None:
    """Raise RegistryError for any answer but 200, with what the mirror says of it."""
    if answer.status == 200:
        return
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > _LONGEST:
            break
    try:
        why = str(json.loads(body)["error"]["what"])
    except (ValueError, KeyError, TypeError):
        why = ""
    raise RegistryError(f"The mirror answers {answer.status} for {path}.", why=why)
