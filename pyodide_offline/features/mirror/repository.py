"""One repository of an OCI registry, over HTTP: manifests by tag, blobs by digest.

The rules are those of the OCI distribution specification 1.1: an upload is begun by POST
and ended by PUT, whose digest the registry compares; tags are listed page by page.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyodide_offline import digest as digests
from pyodide_offline.errors import DepotDownError, SettingsError
from pyodide_offline.features.mirror.passport import Passport
from pyodide_offline.network import trust

if TYPE_CHECKING:
    import httpx

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CHUNK = 1 << 18
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Repository:
    """The repository of ``oci://HOST/NAME``; over plain HTTP on this machine only."""

    def __init__(
        self,
        url: str,
        environ: Mapping[str, str],
        *,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        import httpx

        parts = urlsplit(url)
        name = parts.path.strip("/")
        if "@" in parts.netloc or not parts.netloc or not name:
            raise SettingsError(
                "The URL of the mirror's store is not oci://HOST/REPOSITORY.",
                next_step="A login comes from PYODIDE_OFFLINE_STORE_LOGIN or `docker login`.",
            )
        plain = parts.netloc in _LOOPBACK or parts.netloc.rpartition(":")[0] in _LOOPBACK
        self.label = f"oci://{parts.netloc}/{name}"
        self._passport = Passport(parts.netloc, environ)
        self._path = f"/v2/{name}"
        self._client = httpx.AsyncClient(
            base_url=f"{'http' if plain else 'https'}://{parts.netloc}",
            timeout=httpx.Timeout(10, connect=2),
            verify=trust.context(environ, note=lambda _: None),
            transport=transport,
            trust_env=not plain,
        )

    async def manifest(self, tag: str) -> bytes | None:
        """Return a tag's manifest, None where there is none."""
        headers = {"Accept": MANIFEST}
        async with self._asked("GET", f"{self._path}/manifests/{tag}", headers=headers) as answer:
            if answer.status_code == 404:
                return None
            self._expect(answer, 200)
            body = await answer.aread()
            told = answer.headers.get("Docker-Content-Digest", "")
        if told and told != str(digests.of_bytes(body)):
            raise self.down(f"the manifest {tag} is damaged")
        return body

    async def tag(self, tag: str, manifest: bytes) -> None:
        """Let a tag mean a manifest from now on."""
        async with self._asked(
            "PUT",
            f"{self._path}/manifests/{tag}",
            headers={"Content-Type": MANIFEST},
            source=manifest,
        ) as answer:
            self._expect(answer, 201)

    async def tags(self) -> AsyncIterator[str]:
        """Yield all tags."""
        path = f"{self._path}/tags/list?n=1000"
        while path:
            async with self._asked("GET", path) as answer:
                if answer.status_code == 404:
                    return
                self._expect(answer, 200)
                try:
                    found = json.loads(await answer.aread()).get("tags") or []
                except (ValueError, AttributeError) as error:
                    raise self.down("its list of tags is none") from error
                query = urlsplit(answer.links.get("next", {}).get("url", "")).query
            path = f"{self._path}/tags/list?{query}" if query else ""
            for tag in found:
                yield str(tag)

    async def blob(self, digest: str, start: int, stop: int, size: int) -> AsyncIterator[bytes]:
        """Yield a part of a blob of this size. Raises KeyError where it is not there."""
        headers = {} if stop - start == size else {"Range": f"bytes={start}-{stop - 1}"}
        async with self._asked("GET", f"{self._path}/blobs/{digest}", headers=headers) as answer:
            if answer.status_code == 404:
                raise KeyError(digest)
            self._expect(answer, 200, 206)
            skip = start if answer.status_code == 200 else 0
            left = stop - start
            async for data in answer.aiter_bytes(_CHUNK):
                piece = data[skip : skip + left]
                skip = max(0, skip - len(data))
                left -= len(piece)
                if piece:
                    yield piece
        if left:
            raise self.down(f"it gave a part of {digest}")

    async def holds(self, digest: str) -> bool:
        """Say whether a blob can be had.

        That is asked by its first byte: docker-registry says from its memory that it has it,
        and breaks off where that is wrong.
        """
        import httpx

        headers = {"Range": "bytes=0-0"}
        async with self._asked("GET", f"{self._path}/blobs/{digest}", headers=headers) as answer:
            if answer.status_code == 404:
                return False
            self._expect(answer, 200, 206)
            try:
                return bool(await anext(answer.aiter_bytes(), b""))
            except httpx.TimeoutException:
                raise
            except httpx.HTTPError:
                return False

    async def upload(self, digest: str, source: bytes | Path, size: int) -> None:
        """Push a blob unless it is there."""
        if await self.holds(digest):
            return
        async with self._asked("POST", f"{self._path}/blobs/uploads/") as answer:
            self._expect(answer, 202)
            place = str(answer.url.join(answer.headers.get("Location", "")))
        if urlsplit(place).netloc != self._client.base_url.netloc.decode():
            raise self.down("it wants uploads on another host")
        async with self._asked(
            "PUT",
            f"{place}{'&' if '?' in place else '?'}digest={digest}",
            headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
            source=source,
        ) as answer:
            self._expect(answer, 201)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    def down(self, reason: str) -> DepotDownError:
        """Return the error that says what is wrong."""
        return DepotDownError(
            f"The mirror's store ({self.label}) cannot be used: {reason}.",
            next_step="See that it runs, and who may write there.",
        )

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        source: bytes | Path = b"",
    ) -> "AsyncIterator[httpx.Response]":
        """Ask, once more with a token if the registry wants one; the body is not read yet."""
        import httpx

        try:
            answer = await self._send(method, url, headers or {}, source)
            try:
                if answer.status_code == 401 and await self._passport.renew(self._client, answer):
                    await answer.aclose()
                    answer = await self._send(method, url, headers or {}, source)
                if answer.status_code in (307, 302):  # a blob that lies in its own store
                    await answer.aclose()
                    place = answer.url.join(answer.headers.get("Location", ""))
                    answer = await self._client.send(
                        self._client.build_request(method, place, headers=headers), stream=True
                    )
                yield answer
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise self.down(_reason(error)) from error

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], source: bytes | Path
    ) -> "httpx.Response":
        request = self._client.build_request(
            method,
            url,
            headers={**headers, **self._passport.headers()},
            content=source if isinstance(source, bytes) else _pieces(source),
        )
        return await self._client.send(request, stream=True)

    def _expect(self, answer: "httpx.Response", *wanted: int) -> None:
        if answer.status_code not in wanted:
            raise self.down(f"it answered {answer.status_code} {answer.reason_phrase}")


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:  # a file of this disk: shorter than a way into a thread
        while data := file.read(_CHUNK):
            yield data


def _reason(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    if isinstance(error, httpx.ConnectError):
        text = str(error)
        return "its certificate is not trusted" if "CERTIFICATE" in text else "nobody answers there"
    return "the connection broke"
