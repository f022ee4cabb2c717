"""Who may use a mirror: tokens with a role, of which the file keeps only digests.

A token is ``pom_<id>_<secret>`` with 256 random bits of secret, so that one round of
sha256 is enough to keep it by: there is no word list to try. The id finds the line, the
digests are compared in constant time, and an unknown id costs the same comparison.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from pyodide_offline import disk
from pyodide_offline.errors import SettingsError, StorageError

READ, ADMIN = "read", "admin"
ROLES = (READ, ADMIN)
VARIABLE = "PYODIDE_OFFLINE_MIRROR_TOKENS"
_FORM = re.compile(r"pom_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 4096
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Token:
    """What is kept of a token: never its secret. ``expires`` is 0 for one that does not."""

    id: str
    name: str
    role: str
    sha256: str
    created: int
    expires: int = 0

    def may(self, role: str) -> bool:
        """Say whether this token's role includes another."""
        return self.role == ADMIN or role == READ

    def valid(self, now: float) -> bool:
        """Say whether it has not expired."""
        return not self.expires or now < self.expires


@dataclass(frozen=True)
class Book:
    """The tokens of a mirror; an empty book lets nobody in."""

    tokens: Mapping[str, Token]

    def find(self, presented: str, now: float | None = None) -> Token | None:
        """Return the token that somebody presents, if it is one of ours and holds."""
        match = _FORM.fullmatch(presented)
        known = self.tokens.get(match[1]) if match else None
        right = hmac.compare_digest(_digest(presented), known.sha256 if known else _NOBODY)
        if not right or known is None or not known.valid(time.time() if now is None else now):
            return None
        return known


class Watched:
    """A token file that is read again when it changes, so that a revoked token ends at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: object = None
        self._book = load(path)
        self._seen = _identity(path)
        self._look_again = 0.0

    def find(self, presented: str) -> Token | None:
        """Return the token that somebody presents, by the file as it is within a second."""
        now = time.monotonic()
        if now >= self._look_again:
            self._look_again = now + 1
            identity = _identity(self.path)
            if identity != self._seen:
                self._book = Book({})  # what follows if the file cannot be read now
                self._book = load(self.path)
                self._seen = identity
        return self._book.find(presented)


def load(path: Path) -> Book:
    """Read a token file; one that is not there has no token. Raises StorageError, SettingsError."""
    try:
        found = path.stat()
        record = json.loads(path.read_bytes())
        tokens = [Token(**one) for one in record["tokens"]]
    except FileNotFoundError:
        return Book({})
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is no file of tokens.", next_step="Restore it, or remove it and add new ones."
        ) from error
    if sys.platform != "win32" and (disk.foreign(found) or found.st_mode & 0o077):
        raise SettingsError(
            f"{path} can be reached by others (mode {stat.S_IMODE(found.st_mode):04o}).",
            next_step=f"chmod 600 {path}",
        )
    return Book({one.id: one for one in tokens})


def add(path: Path, name: str, role: str, *, days: float = 0) -> str:
    """Add a token to the file and return it: it is shown this once.

    Raises SettingsError for a name that is taken, StorageError.
    """
    if role not in ROLES or not _NAME.fullmatch(name):
        raise SettingsError(
            f"A token cannot have the name {name!r} and the role {role!r}.",
            next_step="A name has letters, digits, . _ -; a role is read or admin.",
        )
    with _alone(path):
        book = load(path)
        if any(one.name == name for one in book.tokens.values()):
            raise SettingsError(
                f"There is a token {name!r}.",
                next_step=f"Name another, or first: pyodide-offline mirror token revoke {name}",
            )
        made = f"pom_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
        now = int(time.time())
        expires = int(now + days * 86400) if days else 0
        token = Token(made[4:16], name, role, _digest(made), now, expires)
        _write(path, {**book.tokens, token.id: token})
    return made


def revoke(path: Path, name: str) -> Token:
    """Take a token out of the file, by its name or id. Raises SettingsError, StorageError."""
    with _alone(path):
        book = load(path)
        found = [one for one in book.tokens.values() if name in (one.name, one.id)]
        if not found:
            raise SettingsError(f"There is no token {name!r}.", next_step="See: mirror token list")
        _write(path, {key: one for key, one in book.tokens.items() if one not in found})
    return found[0]


def presented(authorization: str) -> str:
    """Return the token in an Authorization header: Bearer (npm), or Basic's password (pip, uv).

    Of Basic with a user alone, the user is the token. Empty where there is none.
    """
    if len(authorization) > _LONGEST:
        return ""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return ""
    return password or user


def file(environ: Mapping[str, str]) -> Path:
    """Return where the tokens of this machine's mirror are kept."""
    if named := environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    from platformdirs import user_config_path

    return user_config_path("pyodide-offline", appauthor=False) / "mirror-tokens.json"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _write(path: Path, tokens: Mapping[str, Token]) -> None:
    record = {"tokens": [asdict(one) for one in tokens.values()]}
    disk.write_whole(path, (json.dumps(record, indent=1) + "\n").encode(), 0o600)


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked once a second on the way of a hit
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _alone(path: Path) -> FileLock:
    """Return the lock under which a token file is changed."""
    with disk.guarded(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))
