"""What is wanted of an upstream, and what is held of it: values."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline.digest import Digest
from pyodide_offline.features.mirror.growing import Growing
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.upstream import Source

Judge = Callable[[Growing], Awaitable[None]]
Confirm = Callable[[Digest], Awaitable[None]]


async def _accepting(_growing: Growing) -> None:
    """Accept whatever came."""


@dataclass(frozen=True)
class Want:
    """A file of an upstream by kind and name, where it may be (best first), and what it must be.

    ``confirm`` is asked of what the store already has under the name, and raises likewise.
    ``judge`` is asked when all has come, before readers get the end; it raises what is wrong.
    """

    kind: str
    name: str
    sources: Sequence[Source]
    expected: Digest | None
    content_type: str
    limit: int
    judge: Judge = field(default=_accepting)
    confirm: Confirm | None = None

    @property
    def key(self) -> str:
        """What stands for it in leases and shares."""
        return f"{self.kind} {self.name}"

    def fits(self, integrity: str) -> bool:
        """Say whether a ref's integrity is what is wanted: an accepted change is another."""
        return not self.expected or not integrity or integrity == self.expected.sri


@dataclass(frozen=True)
class Held:
    """A verified file on this disk."""

    path: Path
    digest: Digest
    size: int
    content_type: str
    integrity: str

    @classmethod
    def of(cls, ref: Ref, path: Path) -> "Held":
        """Return what a ref stands for, being at a place."""
        digest = sha256(ref)
        return cls(path, digest, ref.size, ref.content_type, ref.integrity or digest.sri)


def sha256(ref: Ref) -> Digest:
    """Return the digest of what a ref stands for."""
    return Digest("sha256", bytes.fromhex(ref.digest))
