"""Pyodide's own files: /pyodide/v<version>/full/<file>, as its CDN has them.

The core comes out of npm's package ``pyodide``, whose digest the registry tells; the
packages' files by the sha256 in that package's own pyodide-lock.json.
"""

import asyncio
import mimetypes
import re
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from pyodide_offline import archive
from pyodide_offline import digest as digests
from pyodide_offline.digest import Digest
from pyodide_offline.distribution import lockfile
from pyodide_offline.errors import RegistryError
from pyodide_offline.features.mirror.hits import Hits
from pyodide_offline.features.mirror.npm import Npm
from pyodide_offline.features.mirror.origins import PYODIDE, Origins
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.replies import Receive, Scope, Send
from pyodide_offline.features.mirror.wanted import Held, Want

KIND = "pyodide"
LOCK = "pyodide-lock.json"
LARGEST = 512 << 20
_PATH = re.compile(r"v(\d[0-9A-Za-z.+-]{0,40})/full/([A-Za-z0-9][A-Za-z0-9._+-]{0,200})")
_TYPES = {".wasm": "application/wasm", ".mjs": "text/javascript", ".js": "text/javascript"}


class Pyodide:
    """Answers what lies under /pyodide/."""

    def __init__(self, pull: Pull, hits: Hits, origins: Origins, npm: Npm) -> None:
        self._pull = pull
        self._hits = hits
        self._origins = origins
        self._npm = npm

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        """Answer a path below /pyodide/; False where nothing lies there."""
        match = _PATH.fullmatch(path)
        if match is None:
            return False
        version, file = match[1], match[2]
        found = self._pull.held(KIND, f"{version}/{file}")
        found = found or await self._pull.known(KIND, f"{version}/{file}")
        found = found or await self._core(version, file)
        want = None if found else await self.want(version, file)
        if found is None and want is None:
            return False
        await self._hits.send(scope, receive, send, self._pull, KIND, found, want)
        return True

    async def want(self, version: str, file: str) -> Want | None:
        """Return what a package's file must be and where it is; None if the lock has none such."""
        lock = await self._core(version, LOCK)
        if lock is None:
            return None
        data = await asyncio.to_thread(lock.path.read_bytes)
        found = lockfile.read(data, f"{LOCK} of Pyodide {version}")
        package = next((one for one in found.packages.values() if one.file_name == file), None)
        if package is None or not re.fullmatch(r"[0-9a-f]{64}", package.sha256):
            return None
        root = self._origins.of(PYODIDE)
        return Want(
            kind=KIND,
            name=f"{version}/{file}",
            sources=[replace(root, url=f"{root.url}v{version}/full/{quote(file)}", checked=True)],
            expected=Digest("sha256", bytes.fromhex(package.sha256)),
            content_type=_type(file),
            limit=LARGEST,
        )

    async def _core(self, version: str, file: str) -> Held | None:
        """Return a file of npm's package, taken out of it once."""
        name = f"{version}/{file}"
        if found := await self._pull.known(KIND, name):
            return found
        tarball = await self._tarball(version)
        if tarball is None:
            return None
        content = await asyncio.to_thread(_member, tarball.path, file)
        if content is None:
            return None
        digest = digests.of_bytes(content).hex
        ref = Ref(KIND, name, digest, len(content), _type(file), int(time.time()))
        return await self._pull.keep(ref, content)

    async def _tarball(self, version: str) -> Held | None:
        try:
            want = await self._npm.want("pyodide", f"pyodide-{version}.tgz")
        except RegistryError as error:
            if error.facts.get("status") in (404, 410):
                return None
            raise
        return await self._pull.whole(want) if want else None


def _member(tarball: Path, file: str) -> bytes | None:
    return archive.read_members(tarball, [f"package/{file}"]).get(f"package/{file}")


def _type(file: str) -> str:
    suffix = Path(file).suffix
    return _TYPES.get(suffix) or mimetypes.guess_type(file)[0] or "application/octet-stream"
