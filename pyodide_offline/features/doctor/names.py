"""Names: does the system's resolver know the hosts that a worker needs?"""

import socket

from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped
from pyodide_offline.features.doctor.observed import Observed

# Where workerd asks for bundles, as long as it was not asked itself.
KNOWN_HOST = "pyodide-capnp-bin.edgeworker.net"
_REASONS = {
    socket.EAI_NONAME: "there is no such name",
    socket.EAI_AGAIN: "no name server answers",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "it has no address",
}


def system(observed: Observed) -> Finding:
    """Look the host of the official bundle up."""
    if observed.session.offline:
        return skipped("--offline: nothing is asked.")
    host = KNOWN_HOST
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = _REASONS.get(getattr(error, "errno", None) or 0, str(error))
        return failed(
            f"The system does not find {host}: {reason}.",
            fix=f"pyodide-offline resolve --compare {host}",
            blame="dns",
            host=host,
            reason=reason,
        )
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return passed(f"{host} is {', '.join(addresses[:2])}.", host=host, addresses=addresses)


CHECKS = (
    Check(
        "dns.system",
        "Does the system's resolver find the bundle's host?",
        system,
        spared_by=("bundle.ready", "registry.npm"),
    ),
)
