"""What every part needs to work for one command of one user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_offline.errors import OfflineError
from pyodide_offline.progress import Progress, Silent
from pyodide_offline.store import Store


@dataclass(frozen=True)
class Session:
    """The store, the user's environment and whether the network may be asked.

    ``project`` is the folder that the command is about, ``cache_dir`` the folder that
    workerd reads bundles from. ``proxies`` and ``pac`` are what the user named to us: URLs,
    and the path or URL of a PAC file.
    """

    store: Store
    environ: Mapping[str, str]
    project: Path
    cache_dir: Path
    offline: bool = False
    progress: Progress = field(default_factory=Silent)
    proxies: tuple[str, ...] = field(default=(), repr=False)
    pac: str = ""
    verbose: bool = False

    def require_network(self, what: str) -> None:
        """Raise OfflineError if ``--offline`` forbids to fetch ``what``."""
        if self.offline:
            raise OfflineError(
                f"{what} is not in the store, and --offline forbids to fetch it.",
                next_step="Type once where a registry answers: pyodide-offline prefetch",
            )
