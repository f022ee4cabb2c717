"""Workers that another worker loads while it runs (the binding ``worker_loaders``).

- Their date and flags stand in the loading worker's code, where nothing may be changed:
  the flag for development cannot be added, and workerd asks for an official bundle whose
  digest it checks. It does so at the first request, and answers 500 without one.
- So an official bundle for the loading worker's date is put into the folder where there is
  one. An assembled one is put there too: it serves those loaded workers whose code carries
  the flag for development itself (measured on workerd 1.20261117.1; the loading worker
  then needs the flag ``experimental``, and the loaded one ``allowExperimental``).
"""

from pathlib import Path

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.workers import config
from pyodide_offline.workers.placement import Supplier
from pyodide_offline.workers.supply import Supplied

_USER = "core:user:"


def supply(
    message: bytes, description: Path, supplier: Supplier
) -> tuple[dict[config.PythonWorker, Supplied], list[str]]:
    """Return a bundle for each worker that loads others, and what its user should know."""
    found: dict[config.PythonWorker, Supplied] = {}
    notes = []
    for worker in config.loaders(message, description):
        # miniflare's own entry may load workers too, never in Python.
        if not worker.service.startswith(_USER):
            continue
        name = worker.service.removeprefix(_USER)
        try:
            found[worker] = supplier(worker.date, worker.flags)
        except PyodideOfflineError as error:
            notes.append(f"Python workers that {name} loads at run time will fail: {error.what}")
            continue
        if found[worker].assembled:
            notes.append(
                f"Python workers that {name} loads at run time get only the official bundle, "
                "which is not here: bring it with pyodide-offline prefetch --from FILE, or let "
                "their code carry python_workers_development (see docs/bundle.md)."
            )
    return found, notes
