"""What a front keeps outside the store: its key, the last head of the log that it saw.

    <file>                         signs the log and the pins; <file>.pub beside it
    mirror-head-<id>.json          beside them: the last head seen of a store

All fronts of one store may share one key (copy the file), or each has its own and trusts
the others' by ``--trust-key``.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError, SettingsError
from pyodide_offline.features.mirror.chain import Chain
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.ledger import Ledger
from pyodide_offline.kits import signature, signing
from pyodide_offline.kits.signature import PublicKey
from pyodide_offline.kits.signing import SecretKey


def key(file: Path) -> SecretKey:
    """Return the front's key, made at the first start. Raises SettingsError, StorageError."""
    with disk.guarded(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(file.with_name(f".{file.name}.lock")):
            if not file.exists():
                signing.save(signing.generate(), file)
    return signing.load(file)


def known_keys(file: Path, trusted: Iterable[str] = ()) -> list[PublicKey]:
    """Return the keys that hold: what --trust-key says, and the public half of the front's own."""
    own = file.with_name(f"{file.name}.pub")
    return [*map(public_key, trusted), *([public_key(str(own))] if own.exists() else [])]


def public_key(text: str) -> PublicKey:
    """Read --trust-key: a public key, or a file with one. Raises SettingsError."""
    path = Path(text).expanduser()
    try:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
        return signature.public_key(text)
    except (OSError, UnicodeDecodeError, IntegrityError) as error:
        raise SettingsError(
            f"{text[:200]!r} is no public key, and no file with one.",
            next_step="A front's is beside its signing key, with .pub.",
        ) from error


def memory(file: Path, depot: Depot) -> Path:
    """Return the file in which the last head of a store is remembered."""
    name = hashlib.sha256(depot.label.encode()).hexdigest()[:12]
    return file.with_name(f"mirror-head-{name}.json")


def ledger(depot: Depot, file: Path, events: Events, trusted: Iterable[str] = ()) -> Ledger:
    """Return the ledger of a store, signed with the key in this file."""
    own = key(file)
    others = [public_key(one) for one in trusted]
    return Ledger(depot, Chain(depot, own, others, memory(file, depot)), own, events)
