"""How much an archive may become, and the count of what it has become so far. Pure."""

from dataclasses import dataclass


class Refused(Exception):  # noqa: N818 - a sentence about an archive; never leaves the package
    """Why an archive is not read any further."""


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold at most; all sizes in bytes.

    All of its content together may be ``ratio`` times the archive, or ``floor`` where that is
    more, and never over ``total``. Of what npm and PyPI have for a Worker, nothing grows more
    than twenty times or has more than 6,000 members.
    """

    members: int = 100_000
    member: int = 1 << 30
    total: int = 4 << 30
    ratio: int = 100
    floor: int = 64 << 20

    def content(self, size: int) -> int:
        """Return how much an archive of ``size`` bytes may hold."""
        return min(self.total, max(self.floor, self.ratio * size))


class Count:
    """Counts members and bytes of one archive against its bounds."""

    def __init__(self, bounds: Bounds, size: int) -> None:
        self._bounds = bounds
        self._room = bounds.content(size)
        self._bytes = self._members = 0

    def member(self, name: str, size: int) -> None:
        """Take one more member, by the size that it claims."""
        self._members += 1
        if self._members > self._bounds.members:
            raise Refused(f"it has over {self._bounds.members} members")
        if not 0 <= size <= self._bounds.member:
            raise Refused(f"{name[:200]!r} claims {size} bytes, over {self._bounds.member}")

    def grown(self, size: int) -> None:
        """Take ``size`` more bytes of content."""
        self._bytes += size
        if self._bytes > self._room:
            raise Refused(f"it unpacks to over {self._room} bytes")
