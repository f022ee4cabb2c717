"""Whom a kit is taken from: pinned keys, and the last serial seen of each key and kit.

Rules: an unknown key is refused unless the user names it, or takes it on first use; a kit
without a signature is refused unless the user says so; a lower serial than seen before
under the same key and name is refused unless the user says so. No clock is asked.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import signature
from pyodide_offline.kits.layout import SIGNATURE
from pyodide_offline.kits.manifest import NAME
from pyodide_offline.kits.reading import UNTRUSTED, Fault, Head
from pyodide_offline.kits.signature import PublicKey

_UNSIGNED = "unsigned"


@dataclass(frozen=True)
class Terms:
    """What the user says for this time: keys that hold, and what else is let through."""

    keys: tuple[PublicKey, ...] = ()
    first_use: bool = False
    unsigned: bool = False
    downgrade: bool = False


@dataclass(frozen=True)
class Known:
    """What was accepted before: public keys as lines, and signer/name → last serial."""

    keys: tuple[str, ...] = ()
    serials: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What is against a kit, and the key that it was found to be signed with."""

    faults: tuple[Fault, ...]
    key: PublicKey | None = None


def judge(head: Head, known: Known, terms: Terms) -> Judgement:
    """Decide on a kit by its head alone. Pure."""
    faults = []
    key = None
    if head.signature is None:
        if not terms.unsigned:
            faults.append(Fault(NAME, "nobody has signed it (see --allow-unsigned)", UNTRUSTED))
    else:
        try:
            key, why = _signer(head, head.signature, known, terms)
        except IntegrityError as error:
            why = error.what
        if why:
            faults.append(Fault(SIGNATURE, why, UNTRUSTED))
    last = known.serials.get(_label(head, key), -1)
    if head.manifest.serial < last and not terms.downgrade:
        reason = f"its serial {head.manifest.serial} is lower than {last}, which was here before"
        reason += " (see --allow-downgrade)"
        faults.append(Fault(NAME, reason, UNTRUSTED))
    return Judgement(tuple(faults), key)


def load(path: Path) -> Known:
    """Read what was accepted before. Raises StorageError: damaged is not the same as new."""
    try:
        record = json.loads(path.read_bytes())
        serials = {str(name): int(serial) for name, serial in record["serials"].items()}
        return Known(tuple(signature.public_key(line).line for line in record["keys"]), serials)
    except FileNotFoundError:
        return Known()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IntegrityError) as error:
        raise StorageError(
            f"{path} cannot be read: which kits were accepted before is not known.",
            why=str(error),
            next_step="Restore it; or remove it, and name the key again with --key.",
        ) from error


def record(path: Path, head: Head, key: PublicKey | None) -> None:
    """Remember an accepted kit: its key is pinned, its serial the lowest from now on.

    A downgrade that was allowed once leaves the higher serial. Raises StorageError.
    """
    known = load(path)
    label = _label(head, key)
    serial = max(head.manifest.serial, known.serials.get(label, 0))
    keys = {*known.keys, *([key.line] if key else [])}
    if known.serials.get(label) == serial and keys == set(known.keys):
        return
    text = json.dumps(
        {"keys": sorted(keys), "serials": {**known.serials, label: serial}},
        indent=1,
        sort_keys=True,
    )
    disk.write_whole(path, f"{text}\n".encode(), 0o600)


def _signer(head: Head, data: bytes, known: Known, terms: Terms) -> tuple[PublicKey | None, str]:
    """Return the key that signed, and what is against it."""
    found = signature.read(data)
    candidates = [*terms.keys]
    # A key that the user names is the only one that holds.
    if not terms.keys:
        candidates += map(signature.public_key, known.keys)
        if terms.first_use and found.offered:
            same = [key for key in candidates if key.id == found.offered.id]
            candidates += [] if same else [found.offered]
    fitting = [key for key in candidates if key.id == found.key_id]
    if not fitting:
        return None, f"the key {found.name} is not known here; name it with --key"
    for key in fitting:
        if signature.verified(key, found, head.data):
            manifest = head.manifest
            if found.comment != f"kit {manifest.name} serial {manifest.serial}":
                return key, "its trusted comment speaks of another kit"
            return key, ""
    return None, f"it is not by the key {found.name}, or of another manifest"


def _label(head: Head, key: PublicKey | None) -> str:
    return f"{key.line if key else _UNSIGNED}/{head.manifest.name}"
