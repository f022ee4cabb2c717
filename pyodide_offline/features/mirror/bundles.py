"""workerd's Pyodide bundles, at the path at which workerd asks for them: /<name>.capnp.bin

workerd carries the digest of a bundle or none, and does not tell it to a server: so the
mirror keeps to the first that it saw under a name (``admit``), as it does for packages.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from pyodide_offline.digest import Digest
from pyodide_offline.errors import DepotDownError, NetworkError, RegistryError
from pyodide_offline.features.mirror.growing import Growing
from pyodide_offline.features.mirror.hits import Hits
from pyodide_offline.features.mirror.origins import BUNDLES, Origins
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Receive, Scope, Send
from pyodide_offline.features.mirror.wanted import Want

KIND = "bundle"
Admit = Callable[[str, str, Mapping[str, str]], Awaitable[None]]
LARGEST = 256 << 20
# Where a workerd that carries no digests fetches parts of the standard library.
BUCKET = "python-package-bucket"
_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.capnp\.bin"
    rf"|{BUCKET}/[0-9]{{8}}/[A-Za-z0-9][A-Za-z0-9._+-]{{0,150}}\.(?:tar\.gz|whl|zip)"
)


class Bundles:
    """Answers /<name>.capnp.bin, and what lies under BUCKET."""

    def __init__(
        self,
        pull: Pull,
        hits: Hits,
        origins: Origins,
        admit: Admit,
        *,
        check: Admit | None = None,
    ) -> None:
        self._pull = pull
        self._hits = hits
        self._origins = origins
        self._admit = admit
        self._check = check
        self._sound: set[tuple[str, Digest]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        """Answer a path below /; False where nothing lies there."""
        if not _NAME.fullmatch(path):
            return False
        found = self._pull.held(KIND, path)
        if found:
            await self._hold(path, found.digest)
        want = None if found else self.want(path)
        try:
            await self._hits.send(scope, receive, send, self._pull, KIND, found, want)
        except NetworkError as error:
            # The mirror has tried again itself: a client is told to go on without, at once.
            raise RegistryError(
                f"The mirror cannot get {path}.", why=f"{error}", facts={"status": 404}
            ) from error
        return True

    async def _hold(self, name: str, digest: Digest) -> None:
        """Hold what the store has under a name to what was pinned. Raises IntegrityError.

        No client does: who may write to the store could give it another bundle.
        """
        if self._check is None or (name, digest) in self._sound:
            return
        with suppress(DepotDownError):  # on this disk, and pins cannot be asked just now
            await self._check(KIND, name, {name: str(digest)})
            self._sound.add((name, digest))

    def want(self, name: str) -> Want:
        """Return what a bundle is and where."""

        async def judge(growing: Growing) -> None:
            digest = Digest("sha256", growing.so_far())
            await self._admit(KIND, name, {name: str(digest)})

        root = self._origins.of(BUNDLES)
        return Want(
            kind=KIND,
            name=name,
            sources=[replace(root, url=root.url + quote(name))],
            expected=None,
            content_type="application/octet-stream",
            limit=LARGEST,
            judge=judge,
            confirm=lambda digest: self._hold(name, digest),
        )
