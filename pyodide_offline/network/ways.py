"""Which way each target of a tunnel is reached: through which proxies, or directly."""

from collections.abc import Mapping, Sequence

from pyodide_offline.network.proxies import Upstream
from pyodide_offline.network.targets import Target
from pyodide_offline.network.upstreams import Upstreams
from pyodide_offline.session import Session

Ways = Mapping[Target, Sequence[Upstream]]


def find(
    session: Session, targets: Sequence[Target], named: Sequence[str] = ()
) -> dict[Target, list[Upstream]]:
    """Return the proxies for each target; none: directly. Raises SettingsError.

    ``named`` are those of ``--proxy``, which count in place of the session's.
    """
    found = Upstreams(session, named)
    return {one: found.for_target("https", one.host, one.port) for one in targets}


def by(upstreams: Sequence[Upstream]) -> str:
    """Say how a target is reached."""
    said = ["directly" if one.scheme == "direct" else f"through {one}" for one in upstreams]
    return " or ".join(said) or "directly"
