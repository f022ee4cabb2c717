"""What names stood for when this front last saw them, on its own disk.

Asked only while the store is down: a front that is started then goes on with what is in its
cache. In it are indexes that were held to their pins, and files that were given out. It is of
one store, bounded, and a cache: what cannot be read or written is forgotten.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyodide_offline.errors import StorageError
from pyodide_offline.features.mirror import refs
from pyodide_offline.features.mirror.refs import Ref

MOST = 50_000
_EACH = 1000  # notes between two looks at the bound
_PATIENCE_S = 0.2  # for another process of this cache
_TABLES = """
CREATE TABLE IF NOT EXISTS refs (kind TEXT, name TEXT, value BLOB, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS store (url TEXT PRIMARY KEY, label TEXT);
"""


class Notebook:
    """Refs of the store at ``url`` in a file; those of another store are dropped.

    For one thread. No method raises: where the disk does not do it, nothing is known.
    """

    def __init__(self, path: Path, url: str, *, most: int = MOST) -> None:
        self._url = url
        self._most = most
        self._count = 0
        self._db = _opened(path)
        if self._db and not self._of_this_store(self._db):
            with suppress(sqlite3.Error):
                self._db.execute("DELETE FROM refs")
                self._db.execute("DELETE FROM store")

    @property
    def label(self) -> str:
        """What the store called itself when it was last opened; empty if it never was."""
        row = self._row("SELECT label FROM store WHERE url = ?", self._url)
        return str(row[0]) if row else ""

    def __len__(self) -> int:
        row = self._row("SELECT count(*) FROM refs")
        return int(row[0]) if row else 0

    def begin(self, label: str) -> None:
        """Note that the store was opened, and by which label."""
        self._write("INSERT OR REPLACE INTO store VALUES (?, ?)", self._url, label)

    def note(self, ref: Ref) -> None:
        """Keep a ref; the oldest go where there are too many."""
        self._write(
            "INSERT OR REPLACE INTO refs VALUES (?, ?, ?)", ref.kind, ref.name, ref.encode()
        )
        self._count += 1
        if self._count >= _EACH or self._most < _EACH:
            self._count = 0
            self._write(
                "DELETE FROM refs WHERE rowid NOT IN "
                "(SELECT rowid FROM refs ORDER BY rowid DESC LIMIT ?)",
                self._most,
            )

    def find(self, kind: str, name: str) -> Ref | None:
        """Return what a name stood for, None where that is not known."""
        row = self._row("SELECT value FROM refs WHERE kind = ? AND name = ?", kind, name)
        if row is None:
            return None
        try:
            return refs.decode(bytes(row[0]), kind, name)
        except (StorageError, TypeError):
            return None

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _of_this_store(self, db: sqlite3.Connection) -> bool:
        with suppress(sqlite3.Error):
            return all(url == self._url for (url,) in db.execute("SELECT url FROM store"))
        return False

    def _row(self, question: str, *values: object) -> tuple[Any, ...] | None:
        if self._db is None:
            return None
        try:
            row: tuple[Any, ...] | None = self._db.execute(question, values).fetchone()
        except sqlite3.Error:
            return None
        return row

    def _write(self, statement: str, *values: object) -> None:
        if self._db:
            with suppress(sqlite3.Error):
                self._db.execute(statement, values)


def _opened(path: Path) -> sqlite3.Connection | None:
    """Open the file; one that is damaged is begun anew."""
    for _ in range(2):
        db = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            if db:
                db.close()
            if isinstance(error, sqlite3.OperationalError):  # locked, no room, no rights
                return None
            with suppress(OSError):
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
        else:
            return db
    return None
