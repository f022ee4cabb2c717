"""Secret keys as minisign keeps them: made, locked with a passphrase, used to sign.

minisign's page "Secret key format"; the key under a passphrase is XORed with scrypt's output
whose costs the file names as libsodium's limits (crypto_pwhash_scryptsalsa208sha256).
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import SettingsError
from pyodide_offline.kits import signature
from pyodide_offline.kits.signature import PublicKey

_HEAD = b"Ed"
_SCRYPT, _OPEN = b"Sc", b"\0\0"
_CHECK = b"B2"
# N = 2^17, r = 8, p = 1: 128 MiB, about half a second.
_OPERATIONS, _MEMORY = 1 << 22, 1 << 27
_MEMORY_LIMIT = 1 << 31
_MAKING = "Name a secret key's file; a new one is made by: pyodide-offline kit keygen FILE"


@dataclass(frozen=True)
class SecretKey:
    """A key that signs; ``seed`` (32 bytes) is the secret."""

    public: PublicKey
    seed: bytes = field(repr=False)

    def sign(self, message: bytes, comment: str) -> bytes:
        """Return a minisign signature file of a message; ``comment`` is signed too."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        value = private.sign(hashlib.blake2b(message).digest())
        sealed = private.sign(value + comment.encode())
        return signature.write(self.public, value, comment, sealed)


def generate(seed: bytes | None = None) -> SecretKey:
    """Return a new key; ``seed`` (32 bytes) only where a test wants the same one again."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = seed or os.urandom(32)
    value = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return SecretKey(PublicKey(hashlib.sha256(value).digest()[:8], value), seed)


def save(key: SecretKey, path: Path, passphrase: str = "") -> None:
    """Write a secret key, readable by its owner only, and the public key beside it (.pub).

    Raises StorageError, and SettingsError where a file would be lost.
    """
    public = path.with_name(f"{path.name}.pub")
    for there in (path, public):
        if there.exists():
            raise SettingsError(
                f"{there} exists, and a key that is lost signs nothing more.",
                next_step="Name another file.",
            )
    plain = key.public.id + key.seed + key.public.value
    plain += hashlib.blake2b(_HEAD + plain, digest_size=32).digest()
    salt = os.urandom(32)
    way = _SCRYPT if passphrase else _OPEN
    costs = _OPERATIONS.to_bytes(8, "little") + _MEMORY.to_bytes(8, "little")
    if passphrase:
        plain = _masked(plain, passphrase, salt, _OPERATIONS, _MEMORY)
    line = base64.b64encode(_HEAD + way + _CHECK + salt + costs + plain).decode()
    disk.write_whole(path, f"untrusted comment: minisign secret key\n{line}\n".encode(), 0o600)
    text = f"untrusted comment: minisign public key {key.public.name}\n{key.public.line}\n"
    disk.write_whole(public, text.encode())


def locked(path: Path) -> bool:
    """Say whether a secret key file needs a passphrase. Raises SettingsError."""
    return _data(path)[2:4] == _SCRYPT


def load(path: Path, passphrase: str = "") -> SecretKey:
    """Read a secret key file, ours or minisign's. Raises SettingsError."""
    data = _data(path)
    way, salt, plain = data[2:4], data[6:38], data[54:]
    operations, memory = (int.from_bytes(data[at : at + 8], "little") for at in (38, 46))
    if way == _SCRYPT:
        if not passphrase:
            raise SettingsError(f"The key {path} is locked with a passphrase.")
        plain = _masked(plain, passphrase, salt, operations, memory)
    key_id, seed, value, check = plain[:8], plain[8:40], plain[40:72], plain[72:]
    # minisign -W leaves the checksum of an open key empty.
    sums = {hashlib.blake2b(_HEAD + plain[:72], digest_size=32).digest()}
    if way == _OPEN:
        sums.add(bytes(32))
    if check not in sums or generate(seed).public.value != value:
        raise SettingsError(
            f"The key {path} cannot be opened.",
            why="The passphrase is wrong, or the file is damaged.",
        )
    return SecretKey(PublicKey(key_id, value), seed)


def _data(path: Path) -> bytes:
    try:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
        data = base64.b64decode(lines[-1] if lines else "", validate=True)
    except OSError as error:
        raise SettingsError(
            f"The key {path} cannot be read: {error.strerror}.", next_step=_MAKING
        ) from error
    except (ValueError, binascii.Error):
        data = b""
    known = data[2:4] in (_SCRYPT, _OPEN) and data[4:6] == _CHECK
    if len(data) != 158 or data[:2] != _HEAD or not known:
        raise SettingsError(f"{path} is no secret key of minisign's.", next_step=_MAKING)
    return data


def _masked(data: bytes, passphrase: str, salt: bytes, operations: int, memory: int) -> bytes:
    cost, parallel = _costs(operations, memory)
    if 1024 * cost > _MEMORY_LIMIT:
        raise SettingsError("The key asks for more than 2 GiB of memory to be opened.")
    stream = hashlib.scrypt(
        passphrase.encode(),
        salt=salt,
        n=cost,
        r=8,
        p=parallel,
        maxmem=1024 * cost + 1024 * 8 * parallel + (1 << 20),
        dklen=len(data),
    )
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))


def _costs(operations: int, memory: int) -> tuple[int, int]:
    """Return scrypt's N and p for libsodium's two limits, with its r of 8."""
    operations = max(operations, 32768)
    if operations < memory // 32:
        return 1 << max(1, (operations // 32).bit_length() - 1), 1
    cost = 1 << max(1, (memory // 1024).bit_length() - 1)
    return cost, max(1, min(operations // 4 // cost, 0x3FFFFFFF) // 8)
