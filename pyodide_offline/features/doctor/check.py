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
    not stop `run` and counts as a warning. ``seconds`` bound it.
    """

    id: str
    title: str
    run: Callable[[Observed], Finding]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    spared_by: tuple[str, ...] = ()
    seconds: float = SECONDS

    @property
    def domain(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]
