"""The bundle: which one the project's workerd wants, whether it is here, what comes for it."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyodide_offline import redact
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.doctor import places, project
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.progress import Silent, Task
from pyodide_offline.workers import supply
from pyodide_offline.workers.toolchain import chain, freshness

_LONGEST = 64 << 20
_PATIENCE = 3.0  # seconds for its bytes


def wanted(observed: Observed) -> Finding:
    """Ask the project's workerd."""
    one = project.worker(observed)
    if one is None:
        return skipped("There is no worker here: name its folder, `doctor PROJECT`.")
    if not one.is_python:
        return skipped(f"{one.main} is not Python, so no bundle is needed.")
    want = project.want(observed)
    if want is None:
        return skipped("There is no workerd to ask yet.")
    digest = want.digest.sri if want.digest else None
    return passed(
        f"Bundle {want.bundle_id}.", url=want.url, digest=digest, date=one.date, flags=one.flags
    )


def ready(observed: Observed) -> Finding:
    """See whether `run` would start without a request: tools, bundle, packages."""
    one, want = project.worker(observed), project.want(observed)
    if one is None or want is None:
        return skipped("Nothing to start here yet.")
    session = observed.session
    supplied = supply.find(session, want)
    syncs = (one.config.parent / "pyproject.toml").is_file()
    tools = chain.find(session, pywrangler=syncs)
    missing = [
        name
        for name, here in (
            ("the bundle", supplied is not None),
            ("Node.js or pywrangler", tools is not None),
            ("the worker's packages", not syncs or _synced(observed, tools)),
        )
        if not here
    ]
    if missing:
        summary = f"Not in the store yet: {', '.join(missing)}."
        if session.offline:
            return failed(summary, "--offline forbids to fetch it.", "pyodide-offline prefetch")
        return skipped(summary, missing=missing)
    assert supplied is not None  # noqa: S101 - or it would be missing
    if not session.store.intact(supplied.entry):
        return failed(
            f"{supplied.entry.name} in the store is damaged.",
            f"Its content no longer has the digest {supplied.entry.digest}.",
            "pyodide-offline cache verify --repair",
            blame="cache",
            repair="store",
            path=str(supplied.entry.path),
        )
    return passed(supplied.sentence(), path=str(supplied.entry.path), assembled=supplied.assembled)


def _synced(observed: Observed, tools: chain.Toolchain | None) -> bool:
    if tools is None or tools.pywrangler is None:
        return True  # is named as missing by itself
    return not freshness.needed(observed.project, tools.pywrangler.version)


def arriving(observed: Observed) -> Finding:
    """Fetch the bundle as `run` would, and look at what comes."""
    want = project.want(observed)
    if want is None:
        return skipped("Which bundle is wanted is not known.")
    place = places.official(observed)
    if stop := places.blocked(observed, place) or _unanswered(observed):
        return skipped(f"{place.host} is not reached: see {stop}.", needs=stop)
    ready_now = observed.found.get("bundle.ready")
    if ready_now is not None and ready_now.evidence.get("path"):
        return skipped("It is in the store: nobody has to be asked.")
    url = named.bundle(want.url) if (named := places.mirror(observed)) else want.url
    return _fetched(observed, url, want.digest.sri if want.digest else None)


def _unanswered(observed: Observed) -> str:
    route = observed.found.get("route.official")
    return "route.official" if route and (route.bad or "needs" in route.evidence) else ""


class _EnoughError(Exception):
    """The time for looking is over, and so far all is well; the bytes that came, of how many."""

    def __init__(self, done: int, total: int | None) -> None:
        super().__init__(f"{done} of {total}")
        self.done = done
        self.total = total


class _Impatient(Silent):
    """Ends a download that takes longer than there is time: a slow line is no fault."""

    def task(self, label: str, total: int | None) -> Task:  # noqa: ARG002
        return _Watched(total, time.monotonic() + _PATIENCE)


@dataclass
class _Watched:
    total: int | None
    end: float
    done: int = 0

    def advance(self, amount: int) -> None:
        self.done += amount
        if time.monotonic() > self.end:
            raise _EnoughError(self.done, self.total)

    def finish(self) -> None:
        pass


def _fetched(observed: Observed, url: str, sri: str | None) -> Finding:
    from pyodide_offline import digest as digests
    from pyodide_offline.network import fetch

    evidence: dict[str, Any] = {"url": redact.url(url), "digest": sri}
    began = time.monotonic()
    session = replace(observed.session, progress=_Impatient())
    try:
        with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as folder:
            got = fetch.download(
                session,
                url,
                Path(folder) / "bundle",
                label="the bundle",
                digest=digests.parse(sri) if sri else None,
                max_bytes=_LONGEST,
                headers=named.headers if (named := places.mirror(observed)) else None,
            )
    except _EnoughError as enough:
        evidence |= {"bytes": enough.done, "of": enough.total}
        return passed(
            "The official bundle arrives, by a slow line: its end was not waited for.", **evidence
        )
    except fetch.HttpStatusError as error:
        evidence["status"] = error.status
        page = " with a page of HTML" if error.page else ""
        return _refused(f"{error.host} answers {error.status}{page} for the bundle.", evidence)
    except PyodideOfflineError as error:
        evidence["code"] = error.code
        return _refused(error.what, evidence, error.why)
    evidence |= {"sha256": got.sri, "seconds": round(time.monotonic() - began, 1)}
    return passed("The official bundle arrives whole.", **evidence)


def _refused(summary: str, evidence: dict[str, Any], cause: str = "") -> Finding:
    return warned(
        summary,
        cause or "`run` makes the bundle from npm's package instead.",
        "pyodide-offline run --bundle npm -- pywrangler dev",
        **evidence,
    )


CHECKS = (
    Check("bundle.wanted", "Which bundle does the worker need?", wanted, needs=("tool.workerd",)),
    Check(
        "bundle.ready",
        "Is all in the store that `run` needs?",
        ready,
        needs=("bundle.wanted",),
    ),
    Check(
        "bundle.arrives",
        "Does the official bundle arrive, and whole?",
        arriving,
        needs=("bundle.wanted",),
        after=("bundle.ready", "route.official", "mirror.serves"),
        spared_by=("bundle.ready", "registry.npm"),
        remote=True,
    ),
)
