"""What the project is and which programs are here: found out once, for all checks."""

from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.workers import probe
from pyodide_offline.workers import project as projects
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.project import Worker
from pyodide_offline.workers.toolchain import wrangler as wranglers
from pyodide_offline.workers.toolchain.wrangler import Wrangler


def worker(observed: Observed) -> Worker | None:
    """Return the project's worker, None where there is no project. Raises ProjectError."""

    def find() -> Worker | None:
        config = projects.find_config(observed.project)
        return projects.read(observed.project, config) if config else None

    return observed.facts.once("worker", find)


def wrangler(observed: Observed) -> Wrangler | None:
    """Return the wrangler of the project or the store. Raises what ``wrangler.find`` raises."""
    return observed.facts.once("wrangler", lambda: wranglers.find(observed.session))


def want(observed: Observed) -> Want | None:
    """Return the bundle that the project's workerd asks for, None without one of both.

    Raises WorkerdError if it does not say so.
    """

    def ask() -> Want | None:
        found, one = wrangler(observed), worker(observed)
        if found is None or one is None or not one.is_python:
            return None
        return probe.want(observed.session.store, found.workerd, one.date, one.flags)

    return observed.facts.once("want", ask)
