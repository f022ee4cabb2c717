"""Whom a kit is taken from: pinned keys, and the last serial seen of each key and kit.

Rules: a kit must be signed by a key that the user names or that is pinned, or taken on first
use; by several of them where the user wants several, and then so many for later kits of that
name, too. A kit without a signature is refused unless the user says so; so is a lower serial
than seen before under one of its keys and its name. A known key's signature that does not
hold is a fault, however many others do. No clock is asked.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import signature
from pyodide_offline.kits.layout import signature_name
from pyodide_offline.kits.manifest import NAME
from pyodide_offline.kits.reading import UNTRUSTED, Fault, Head
from pyodide_offline.kits.signature import PublicKey, Signature

_UNSIGNED = "unsigned"


@dataclass(frozen=True)
class Terms:
    """What the user says for this time: keys that hold, and what else is let through.

    ``need`` is how many keys must have signed; None: as many as were wanted before, or one.
    """

    keys: tuple[PublicKey, ...] = ()
    first_use: bool = False
    unsigned: bool = False
    downgrade: bool = False
    need: int | None = None


@dataclass(frozen=True)
class Known:
    """What was accepted before: public keys as lines, and signer/name → last serial.

    ``needs`` is how many signatures kits of a name must have, where it is more than one.
    """

    keys: tuple[str, ...] = ()
    serials: dict[str, int] = field(default_factory=dict)
    needs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What is against a kit, the keys that it was found to be signed with, how many had to be."""

    faults: tuple[Fault, ...]
    keys: tuple[PublicKey, ...] = ()
    need: int = 1


def judge(head: Head, known: Known, terms: Terms) -> Judgement:
    """Decide on a kit by its head alone. Pure."""
    name = head.manifest.name
    need = known.needs.get(name, 1) if terms.need is None else terms.need
    faults: list[Fault] = []
    keys: dict[bytes, PublicKey] = {}
    strangers = []
    for number, data in enumerate(head.signatures, 1):
        try:
            found = signature.read(data)
            fitting = _fitting(found, known, terms)
            if not fitting:
                strangers.append(found.name)
                continue
            key, why = _signer(head, found, fitting)
        except IntegrityError as error:
            key, why = None, error.what
        if why:
            faults.append(Fault(signature_name(number), why, UNTRUSTED))
        if key:
            keys[key.value] = key
    if not head.signatures and not (terms.unsigned and need <= 1):
        faults.append(Fault(NAME, "nobody has signed it (see --allow-unsigned)", UNTRUSTED))
    elif head.signatures and len(keys) < need and not faults:
        faults.append(Fault(NAME, _too_few(len(keys), need, strangers), UNTRUSTED))
    last = max((known.serials.get(one, -1) for one in _labels(head, keys.values())), default=-1)
    if head.manifest.serial < last and not terms.downgrade:
        reason = f"its serial {head.manifest.serial} is lower than {last}, which was here before"
        reason += " (see --allow-downgrade)"
        faults.append(Fault(NAME, reason, UNTRUSTED))
    return Judgement(tuple(faults), tuple(keys.values()), need)


def load(path: Path) -> Known:
    """Read what was accepted before. Raises StorageError: damaged is not the same as new."""
    try:
        record = json.loads(path.read_bytes())
        serials = {str(name): int(serial) for name, serial in record["serials"].items()}
        needs = {str(name): int(need) for name, need in record.get("needs", {}).items()}
        lines = tuple(signature.public_key(line).line for line in record["keys"])
        return Known(lines, serials, needs)
    except FileNotFoundError:
        return Known()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IntegrityError) as error:
        raise StorageError(
            f"{path} cannot be read: which kits were accepted before is not known.",
            why=str(error),
            next_step="Restore it; or remove it, and name the key again with --key.",
        ) from error


def record(path: Path, head: Head, judgement: Judgement) -> None:
    """Remember an accepted kit: its keys are pinned, its serial the lowest from now on.

    A downgrade that was allowed once leaves the higher serial; how many signatures were wanted
    this time is wanted of this name from now on. Raises StorageError.
    """
    known = load(path)
    labels = _labels(head, judgement.keys)
    serials = {one: max(head.manifest.serial, known.serials.get(one, 0)) for one in labels}
    needs = {**known.needs, head.manifest.name: judgement.need}
    new = Known(
        tuple(sorted({*known.keys, *(key.line for key in judgement.keys)})),
        {**known.serials, **serials},
        {name: need for name, need in needs.items() if need > 1},
    )
    if new == Known(tuple(sorted(known.keys)), known.serials, known.needs):
        return
    text = json.dumps(
        {"keys": new.keys, "needs": new.needs, "serials": new.serials}, indent=1, sort_keys=True
    )
    disk.write_whole(path, f"{text}\n".encode(), 0o600)


def _fitting(found: Signature, known: Known, terms: Terms) -> list[PublicKey]:
    """Return the keys that may have made a signature, by what is known of them."""
    candidates = [*terms.keys]
    # Keys that the user names are the only ones that hold.
    if not terms.keys:
        candidates += map(signature.public_key, known.keys)
        if terms.first_use and found.offered:
            same = [key for key in candidates if key.id == found.offered.id]
            candidates += [] if same else [found.offered]
    return [key for key in candidates if key.id == found.key_id]


def _signer(
    head: Head, found: Signature, fitting: Sequence[PublicKey]
) -> tuple[PublicKey | None, str]:
    """Return the key that signed, and what is against it."""
    for key in fitting:
        if signature.verified(key, found, head.data):
            if found.comment != head.manifest.comment:
                return key, "its trusted comment speaks of another kit"
            return key, ""
    return None, f"it is not by the key {found.name}, or of another manifest"


def _too_few(count: int, need: int, strangers: Sequence[str]) -> str:
    names = ", ".join(strangers)
    if not count and need == 1:
        return f"the key {names} is not known here; name it with --key"
    unknown = f"; not known here: {names} (name keys with --key)" if names else ""
    return f"{count} of the {need} signatures that it needs hold{unknown}"


def _labels(head: Head, keys: Iterable[PublicKey]) -> list[str]:
    lines = [key.line for key in keys] or [_UNSIGNED]
    return [f"{line}/{head.manifest.name}" for line in lines]
