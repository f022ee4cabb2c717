"""Another source of packages than the registries that npm and pip are configured for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline.digest import Digest


@dataclass(frozen=True)
class Source:
    """Lays packages out in a folder, as npm or pip would.

    ``bring`` does it, and raises what it must; ``digest`` gives the sha256 of a file that it
    has written, or of any other.
    """

    bring: Callable[[Path], None]
    digest: Callable[[Path], Digest]
