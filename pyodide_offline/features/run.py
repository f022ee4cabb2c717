"""One command with all of it: toolchain, bundle, packages, shim, and nothing left behind."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_offline import process
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.session import Session
from pyodide_offline.workers import (
    advice,
    broker,
    command,
    environment,
    project,
    schema,
    shim,
    supply,
)
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain

if TYPE_CHECKING:
    from pyodide_offline.workers.answer import Answer
    from pyodide_offline.workers.internet import Internet
    from pyodide_offline.workers.snapshot_maker import Maker

_SIGNALLED = 128  # and above: a signal's status, as shells have it
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


def run(
    session: Session,
    words: Sequence[str],
    say: Callable[[str], None],
    *,
    complain: Callable[[str], None] = lambda _: None,
    config: Path | None = None,
    policy: str = supply.AUTO,
    wrangler: str | None = None,
    snapshots: bool = True,
    fetch: bool = True,
    python: str | None = None,
    verbose: bool = False,
) -> int:
    """Run a command and return its exit status. ``say`` is told which Python runs.

    ``complain`` is told what a failure means, where workerd's own words tell it.
    ``fetch``: the workers' requests go through the proxy that is named. ``python`` is the
    one to run on, whatever the worker's date says; with ``verbose``
    each program and the bundle are said with their places.
    """
    needs = command.plan(session, words, config)
    found = chain.get(session, pywrangler=needs.pywrangler, version=wrangler)
    binary = environment.workerd(session.environ, found)
    supplier = _Supplier(session, binary, policy, found.node.npm, say, python)
    supplied, extra = None, {}
    if needs.worker and needs.worker.is_python:
        supplied = supplier(needs.worker.date, needs.worker.flags)
        extra = environment.synced(session, needs, found, binary, supplied.python_series, python)
        for sentence in advice.of(session, binary, needs.worker, supplied):
            say(sentence)
    if verbose:
        from pyodide_offline.workers.toolchain import listing

        for program in listing.listed(session, found):
            say(f"{program.what} {program.version}: {program.path}")
        if supplied:
            say(f"bundle {supplied.file_name}: {supplied.entry.path}")
    internet = _internet(session, say) if fetch else None
    desk = _Desk(session, found.wrangler.schema, binary, supplier, snapshots, internet)
    words_of_workerd = broker.LastWords()
    with broker.serving(desk.answer, session.progress.note, words_of_workerd) as socket:
        environ = environment.of(session, found, binary, extra)
        if socket:
            environ[shim.SOCKET] = socket
        if python:
            environ[supply.PYTHON_VARIABLE] = python
        if internet and socket:
            environ[shim.LEADING] = "1"
        try:
            status = process.supervise(
                [_resolve(words[0], environ), *words[1:]],
                env=environ,
                cwd=session.project,
                started=lambda: desk.prepare(needs.worker, supplied),
            )
        finally:
            desk.close()
    if 0 < status < _SIGNALLED:
        for line in _verdict(words, words_of_workerd):
            complain(line)
    return status


def _verdict(words: Sequence[str], said: broker.LastWords) -> list[str]:
    """Return what a failure means, as far as workerd's words or the ports tell it."""
    from pyodide_offline.network import ports
    from pyodide_offline.workers import symptoms

    port = command.port(words)
    holder = ports.holder(port) if port else None
    found = symptoms.recognised(said.text())
    if holder and port and (found is None or found.id == "address-in-use"):
        found = symptoms.port_taken(port, holder)
    return found.lines() if found else []


class _Desk:
    """Where the shims' questions are answered while the command runs."""

    def __init__(
        self,
        session: Session,
        description: Path,
        binary: Path,
        supplier: "_Supplier",
        snapshots: bool,
        internet: "Internet | None" = None,
    ) -> None:
        self._session = session
        self._description = description
        self._binary = binary
        self._supplier = supplier
        self._snapshots = snapshots
        self._internet = internet
        self._maker: Maker | None = None

    def answer(self, message: bytes) -> "Answer":
        """Answer one shim. Raises what supplying and reading the message raise."""
        from pyodide_offline.workers import answer

        using = answer.Snapshots(self._binary, self._making()) if self._snapshots else None
        checked = schema.checked(self._session.store, self._description)
        leading = self._internet.address if self._internet else None
        found = answer.answer(self._session, checked, message, self._supplier, using, leading)
        for note in found.notes:
            self._supplier.say(note)
        return found

    def prepare(self, worker: project.Worker | None, supplied: Supplied | None) -> None:
        """Load and read what the first shim will need while wrangler boots, not before."""
        if worker and supplied:
            threading.Thread(target=self._prepare, args=(worker, supplied)).start()

    def close(self) -> None:
        """End what is being made in the background."""
        if self._maker:
            self._maker.stop()
        if self._internet:
            self._internet.close()

    def _prepare(self, worker: project.Worker, supplied: Supplied) -> None:
        # What cannot be prepared fails again, and is reported, when a shim asks for it.
        with suppress(PyodideOfflineError, OSError):
            checked = schema.checked(self._session.store, self._description)
            from pyodide_offline.workers import (
                answer,  # noqa: F401 - loaded here, so that the first answer need not
                config,
                placement,
                snapshot,
            )

            config.load(checked)
            folder = placement.choose_folder(self._session, [supplied])
            placement.place(
                self._session, worker.date, worker.flags, supplied, folder, self._supplier
            )
            if self._snapshots:
                snapshot.foresee(self._session.store, self._session.project)

    def _making(self) -> "Maker":
        from pyodide_offline.workers.snapshot_maker import Maker

        self._maker = self._maker or Maker(self._session)
        return self._maker


def _internet(session: Session, say: Callable[[str], None]) -> "Internet | None":
    """Return what the workers' requests are led to, where the user has named a proxy."""
    variables = [value for name, value in session.environ.items() if name.lower() in _PROXIES]
    if not (any(variables) or session.proxies or session.pac):
        return None
    # Loaded only now: most starts do without.
    from pyodide_offline.workers import internet

    return internet.Internet(session, say) if internet.wanted(session) else None


@dataclass(frozen=True)
class _Supplier:
    session: Session
    binary: Path
    policy: str
    npm: Sequence[str]
    say: Callable[[str], None]
    python: str | None = None

    def __call__(self, date: str, flags: Sequence[str], *, renew: bool = False) -> Supplied:
        supplied = supply.supply(
            self.session,
            self.binary,
            date,
            flags,
            policy=self.policy,
            npm=lambda: self.npm,
            renew=renew,
            python=self.python,
        )
        self.say(supplied.sentence())
        return supplied


def _resolve(program: str, environ: Mapping[str, str]) -> str:
    import shutil

    return shutil.which(program, path=environ.get("PATH")) or program
