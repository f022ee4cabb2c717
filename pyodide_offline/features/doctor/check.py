"""What a check is. Pure.

A check's id is stable: scripts and the JSON document name it. Its first part is its domain
(``proxy.tunnel``: proxy), which may stand for all of them on the command line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyodide_offline.features.doctor.finding import Finding
from pyodide_offline.features.doctor.observed import Observed

SECONDS = 6.0  # for one check, where it does not say otherwise


@dataclass(frozen=True)
class Check:
    """One question to this machine.

    ``needs`` are the ids that must have passed (or warned), or it is skipped; ``after``
    those that must only have ended. Where one of ``spared_by`` passes, a failure here does
    not stop `run` and counts as a warning; where one of ``unneeded_with`` passes, nobody
    misses it, and it counts as skipped. ``seconds`` bound it. A ``remote`` one asks other
    machines: not done with --offline.
    """

    id: str
    title: str
    run: Callable[[Observed], Finding]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    spared_by: tuple[str, ...] = ()
    unneeded_with: tuple[str, ...] = ()
    seconds: float = SECONDS
    remote: bool = False

    @property
    def domain(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]
