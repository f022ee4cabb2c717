"""Whether a schema file can be loaded, found out where it does no harm.

Cap'n Proto's C++ parser ends the whole process over a schema that it cannot parse, so a
damaged ``workerd.capnp`` would take a running ``run`` down. Each schema is therefore
loaded once in a process of its own, and its digest remembered.
"""

import sys
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline import process
from pyodide_offline.errors import WorkerdError
from pyodide_offline.store import Store

_TRY = "import sys; from pyodide_offline.workers import config; config.load(sys.argv[1])"


def checked(store: Store, path: Path) -> Path:
    """Return the path of a schema that can be loaded. Raises WorkerdError."""
    try:
        key = digests.of_file(path).hex
    except OSError as error:
        raise WorkerdError(
            f"The schema of workerd's configuration is not there: {path}.",
            next_step="Install wrangler again: npm install",
        ) from error
    if store.memo("schema", key) is True:
        return path
    done = process.capture([sys.executable, "-I", "-c", _TRY, path], timeout=30)
    if done.status != 0:
        raise WorkerdError(
            f"The schema of workerd's configuration cannot be read: {path}.",
            why=process.tail(done.stderr),
            next_step="Install wrangler again: npm install",
        )
    store.remember("schema", key, value=True)
    return path
