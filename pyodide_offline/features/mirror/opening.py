"""A depot by its URL, tried before it is used.

    /PATH, file:///PATH                     a folder
    s3://BUCKET/PREFIX?endpoint=…&region=…  an object store (`account` says as whom)
    oci://HOST/REPOSITORY                   an OCI registry, for a single front

Any number of fronts may share a store whose conditional writes hold: of several who
create one object at once one must win, and of several who replace it. That is tried by the first
front of a day, for there are stores that answered well and let all of them win.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyodide_offline import disk
from pyodide_offline.errors import DepotDownError, SettingsError, UnsupportedError
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.names import lease_key, ref_key
from pyodide_offline.features.mirror.turnstile import Turnstile

SINGLE = "--single-front"
# Enough to see stores fail that let all win; SeaweedFS lets losers wait a second and more.
_RACERS = 6
_DAY_S = 24 * 3600
_TRIED = ref_key("depot", "tried")


async def opened(
    url: str, environ: Mapping[str, str], folder: Path, *, single: bool = False
) -> Depot:
    """Return the depot, tried. ``folder`` is this front's own, for locks.

    ``single`` says that no other front uses the store: then nothing is asked of it, and this
    front's processes pass one after the other. Raises SettingsError, UnsupportedError and
    DepotDownError.
    """
    if single:
        locks = folder / "locks"
        with disk.guarded(locks):
            locks.mkdir(parents=True, exist_ok=True)
        return _made(url, environ, folder, Turnstile(locks))
    if urlsplit(url).scheme == "oci":
        raise UnsupportedError(
            f"The mirror's store ({label(url)}) cannot be shared by several fronts.",
            why="A registry has no conditional writes.",
            next_step=f"If this is the only front that uses it, say so: {SINGLE}",
        )
    depot = _made(url, environ, folder, None)
    try:
        await _try(depot)
    except BaseException:
        await depot.close()
        raise
    return depot


async def _try(depot: Depot) -> None:
    """Race, unless a front did so today: a store may take seconds for it."""
    found, now = await depot.get(_TRIED), time.time()
    if found is not None and abs(now - _time(found[0])) < _DAY_S:
        return
    if wrong := await race(depot):
        raise UnsupportedError(
            f"The mirror's store ({depot.label}) cannot be shared by several fronts.",
            why=wrong,
            next_step=f"If this is the only front that uses it, say so: {SINGLE}",
        )
    value = json.dumps({"tried": int(now)}).encode()
    await depot.swap(_TRIED, value, found[1] if found else None)


def _time(value: bytes) -> float:
    try:
        return float(json.loads(value)["tried"])
    except (ValueError, TypeError, KeyError):
        return 0.0


def label(url: str) -> str:
    """Return a store's URL for logs: without login and options."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def race(depot: Depot) -> str:
    """Have several write one key at once; say what was wrong, or nothing.

    A store that is slow to tell losers so is given three tries. Raises DepotDownError.
    """
    for left in (2, 1, 0):
        try:
            return await _raced(depot)
        except DepotDownError:
            if not left:
                raise
    return ""


async def _raced(depot: Depot) -> str:
    key = lease_key(f"probe-{secrets.token_hex(8)}")
    try:
        won = await asyncio.gather(
            *(depot.create(key, str(number).encode()) for number in range(_RACERS)),
            return_exceptions=True,
        )
        winners = _winners(won)
        if len(winners) > 1:
            return f"Of {_RACERS} who created one object at once, {len(winners)} were told so."
        found = await depot.get(key)
        if found is None or found[0] != str(winners[0]).encode():
            return "It does not hold what the one wrote who was told to have created it."
        new = await asyncio.gather(
            *(depot.swap(key, f"new {number}".encode(), found[1]) for number in range(_RACERS)),
            return_exceptions=True,
        )
        winners = _winners(new)
        if len(winners) > 1:
            return f"Of {_RACERS} who replaced one value at once, {len(winners)} were told so."
        if await depot.get(key) != (f"new {winners[0]}".encode(), new[winners[0]]):
            return "It does not hold what the one wrote who was told to have replaced it."
        return ""
    finally:
        await depot.remove(key)


def _winners(told: Sequence[bool | str | BaseException | None]) -> list[int]:
    """Return who were told to have won; some, or what stopped one is raised."""
    found = [n for n, one in enumerate(told) if one and not isinstance(one, BaseException)]
    for one in told:
        if isinstance(one, BaseException) and (not found or not isinstance(one, DepotDownError)):
            raise one
    if not found:
        raise DepotDownError("Of those who wrote to the mirror's store at once, none was told so.")
    return found


def _made(url: str, environ: Mapping[str, str], folder: Path, turnstile: Turnstile | None) -> Depot:
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        from pyodide_offline.features.mirror.folder import FolderDepot

        return FolderDepot(_folder(url))
    if scheme == "s3":
        from pyodide_offline.features.mirror.account import account
        from pyodide_offline.features.mirror.objects import ObjectDepot

        return ObjectDepot(account(url, environ), turnstile)
    if scheme == "oci":
        from pyodide_offline.features.mirror.registry import RegistryDepot
        from pyodide_offline.features.mirror.repository import Repository

        return RegistryDepot(Repository(url, environ), folder)
    raise SettingsError(
        f"The mirror's store has a kind that is not known: {scheme}:",
        next_step="Name a folder, s3://BUCKET/PREFIX?endpoint=… or oci://HOST/REPOSITORY",
    )


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise SettingsError(
            "The mirror's store is a folder of another machine.",
            next_step="Mount it, and write file:///PATH",
        )
    path = unquote(parts.path) if parts.scheme else url
    if not path:
        raise SettingsError("The mirror's store names no folder.", next_step="Write file:///PATH")
    return Path(path).expanduser().absolute()
