"""The host that a project's workerd gets its bundle from, when it does so by itself."""

from urllib.parse import urlsplit

from pyodide_offline.errors import ProjectError
from pyodide_offline.network.targets import HTTPS, Target
from pyodide_offline.session import Session
from pyodide_offline.workers import probe, project
from pyodide_offline.workers.toolchain import chain


def targets(session: Session, command: str, wrangler: str | None = None) -> list[Target]:
    """Return where a tunnel has to lead. Raises ProjectError where that cannot be told.

    ``command`` is the one that the user can name targets to.
    """
    advice = f"Name where to: pyodide-offline {command} --target HOST:443"
    if project.find_config(session.project) is None:
        raise ProjectError(
            f"There is no worker in {session.project} that would tell where a tunnel has to lead.",
            next_step=advice,
        )
    worker = project.read(session.project)
    if not worker.is_python:
        raise ProjectError(f"{worker.config} is of a worker without Python.", next_step=advice)
    found = chain.get(session, pywrangler=False, version=wrangler)
    want = probe.want(session.store, found.wrangler.workerd, worker.date, worker.flags)
    url = urlsplit(want.url)
    if not url.hostname:
        raise ProjectError("workerd does not tell where it gets its bundle.", next_step=advice)
    return [Target(url.hostname, url.port or HTTPS)]
