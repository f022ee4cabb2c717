"""Do the two places answer that pywrangler's own sync asks?

uv brings its Pyodide interpreter from GitHub, and pywrangler names Pyodide's package index.
One answer each, in two seconds together, decides; nothing is remembered, because people
carry their machines from one network to another.
"""

import threading
import time
from typing import TYPE_CHECKING

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import ssl

ADDRESSES = ("https://github.com/", "https://index.pyodide.org/")
PATIENCE = 2.0  # seconds for all of them
# What a proxy says that does not let this through. A missing page is an answer.
_REFUSALS = {401, 403, 407, 451}


def reachable(session: Session, addresses: tuple[str, ...] = ADDRESSES) -> bool:
    """Say whether every address answers, by the ways that downloads take."""
    answers: list[bool] = []
    # Daemons: resolving a name cannot be stopped, and nobody waits for it at the exit.
    askers = [
        threading.Thread(
            target=lambda address=address: answers.append(_answers(address, session)), daemon=True
        )
        for address in addresses
    ]
    deadline = time.monotonic() + PATIENCE
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(max(0.0, deadline - time.monotonic()))
    return len(answers) == len(addresses) and all(answers)


def _answers(address: str, session: Session) -> bool:
    import httpx

    from pyodide_offline.network import trust
    from pyodide_offline.network.transport import Transport

    def context() -> "ssl.SSLContext":
        return trust.context(session.environ, note=lambda _: None)

    way = Transport(session, context)
    try:
        with httpx.Client(transport=way, timeout=PATIENCE, trust_env=False) as client:
            status = client.head(address).status_code
    except (PyodideOfflineError, httpx.HTTPError, httpx.InvalidURL):
        return False
    return status not in _REFUSALS and status < 500
