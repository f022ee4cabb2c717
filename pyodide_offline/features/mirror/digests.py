"""Whatever is held, by its digest: /sha256/<hex>. Nothing is fetched for it."""

import re

from pyodide_offline.digest import Digest
from pyodide_offline.features.mirror.hits import Hits
from pyodide_offline.features.mirror.pull import Pull
from pyodide_offline.features.mirror.replies import Scope, Send
from pyodide_offline.features.mirror.wanted import Held

KIND = "sha256"
_HEX = re.compile(r"[0-9a-f]{64}")


class Digests:
    """Answers what lies under /sha256/."""

    def __init__(self, pull: Pull, hits: Hits) -> None:
        self._pull = pull
        self._hits = hits

    async def __call__(self, scope: Scope, send: Send, path: str) -> bool:
        """Answer a path below /sha256/; False where nothing is held."""
        if not _HEX.fullmatch(path):
            return False
        digest = Digest("sha256", bytes.fromhex(path))
        found = self._pull.cache.known(digest) or await self._pull.cache.path(digest)
        if found is None:
            return False
        size = found.stat().st_size
        held = Held(found, digest, size, "application/octet-stream", digest.sri)
        await self._hits.held(scope, send, KIND, held)
        return True
