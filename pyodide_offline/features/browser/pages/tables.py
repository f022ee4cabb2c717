"""In Pyodide: datasette over the folder's SQLite and CSV files, and over those dropped on it.

This runs in the browser, so it imports nothing of pyodide-offline.
"""

import csv
import io
import os
import re
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

_SQLITE = b"SQLite format 3\0"
_opened: dict[str, Any] = {}


async def serve(files: list[str], title: str) -> Any:  # noqa: ANN401 - datasette is not here
    """Return datasette's app over these files."""
    # Emscripten's file system has no hard links, which a part of datasette asks for.
    os.link = os.symlink  # type: ignore[assignment]
    from datasette.app import Datasette  # type: ignore[import-not-found]

    paths = [str(database(Path(name))) for name in files]
    instance = Datasette(paths, settings={"num_sql_threads": 0}, metadata={"title": title})
    await instance.invoke_startup()
    _opened["datasette"] = instance
    return instance.app()


async def add(name: str) -> str:
    """Open one more file; return the path of its page. Raises ValueError for another kind."""
    from datasette.database import Database  # type: ignore[import-not-found]

    instance = _opened["datasette"]
    path = database(Path(name))
    added = instance.add_database(Database(instance, path=str(path), is_mutable=True))
    return f"/{quote(added.name)}"


def database(path: Path) -> Path:
    """Return a SQLite file: the file itself, or one made of a CSV or TSV file."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) == _SQLITE:
            return path
    if path.suffix.lower() not in {".csv", ".tsv", ".txt"}:
        raise ValueError("it is neither a SQLite database nor a CSV file")
    target = path.with_suffix(".db")
    number = 2
    while target.exists():
        target = path.with_name(f"{path.stem}-{number}.db")
        number += 1
    table(path, target)
    return target


def table(path: Path, target: Path) -> None:
    """Write a SQLite file with one table: the rows of a CSV or TSV file, numbers as numbers."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    rows = csv.reader(io.StringIO(text, newline=""), dialect=_dialect(text))
    head = _distinct(next(rows, []))
    if not head:
        raise ValueError("there is no row in it")
    body = [row[: len(head)] + [""] * (len(head) - len(row)) for row in rows if row]
    kinds = [_kind([row[place] for row in body]) for place in range(len(head))]
    columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in zip(head, kinds, strict=True))
    name = _quoted(path.stem)
    holes = ", ".join("?" * len(head))
    connection = sqlite3.connect(target)
    try:
        connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.executemany(
            f"INSERT INTO {name} VALUES ({holes})",  # noqa: S608 - a name, quoted as SQL asks
            ([value if value != "" else None for value in row] for row in body),
        )
        connection.commit()
    finally:
        connection.close()


def _dialect(text: str) -> type[csv.Dialect] | csv.Dialect:
    try:
        return csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        return csv.excel


def _distinct(head: list[str]) -> list[str]:
    """Return column names that SQLite takes: none empty, none twice, whatever the case."""
    found: list[str] = []
    for place, text in enumerate(head, 1):
        name = base = text.strip() or f"column {place}"
        number = 2
        while name.lower() in {one.lower() for one in found}:
            name, number = f"{base} {number}", number + 1
        found.append(name)
    return found


def _kind(values: list[str]) -> str:
    # "007" is a text: it would not come back as it was.
    given = [value for value in values if value != ""]
    if given and all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in given):
        return "INTEGER"
    if given and all(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", value) for value in given):
        return "REAL"
    return "TEXT"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
