"""A command in a network of its own: what is made inside, and what is handed out.

A child of this process goes into new namespaces, shows the command private files, listens
for the targets and hands these listeners out. Outside they are accepted and dialled on.
The child stays as the command's parent and makes further sockets when they are wanted.
When this process ends, whatever way, the child hears it and ends all that runs inside.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pyodide_offline import errors, process
from pyodide_offline.errors import PyodideOfflineError, UnsupportedError
from pyodide_offline.network import forbidden, handover, namespace, seen
from pyodide_offline.network.handover import GoneError
from pyodide_offline.network.namespace import StepError

_KILLED, _DNS = 137, 53


@dataclass(frozen=True)
class Plan:
    """The command, and what there is inside: ``names`` lead to ``listeners``."""

    words: Sequence[str]
    environ: Mapping[str, str]
    names: Sequence[str]
    listeners: Sequence[tuple[str, int]] = ()


@dataclass
class Confined:
    """The namespaces as they are from outside; ``pid`` is of the process that lives there.

    ``nameserver`` is where a program inside sends its DNS queries, once all is ready.
    """

    pid: int
    _plan: Plan
    _talk: socket.socket
    _door: socket.socket
    nameserver: socket.socket | None = None
    _listeners: dict[tuple[str, int], socket.socket] = field(default_factory=dict)
    _ended: bool = False

    def ready(self) -> None:
        """Wait until everything is made inside. Raises UnsupportedError where it cannot be."""
        with _explained():
            for where in self._plan.listeners:
                self._listeners[where] = _reply(self._talk)[0]
            self.nameserver = _reply(self._talk)[0]
            _reply(self._talk)

    def listener(self, address: str, port: int) -> socket.socket:
        """Return the listener that was made inside for an address of the plan."""
        return self._listeners.pop((address, port))

    async def socket(self, family: int) -> socket.socket:
        """Return a new socket that is inside. Raises OSError when nothing is inside any more."""
        # A round over a local socket: a fraction of a millisecond, and one at a time.
        try:
            handover.send(self._door, {"family": family})
            _, (made,) = handover.receive(self._door)
        except GoneError as error:
            raise ConnectionResetError from error
        made.setblocking(False)
        return made

    def attend(self, meanwhile: Callable[[], None]) -> int:
        """Run the command and return its status. Raises what kept it from running.

        ``meanwhile`` is called once it runs: who dials already, waits in a listener's queue.
        """
        problems: list[PyodideOfflineError] = []

        def started() -> None:
            try:
                handover.send(self._talk, {"run": True})
                _reply(self._talk)
            except GoneError:
                return  # a signal has ended it: the status says that
            except PyodideOfflineError as error:
                problems.append(error)
                return
            meanwhile()

        status = process.attend(self.pid, started)
        self._ended = True
        for problem in problems:
            raise problem
        return status

    def close(self) -> None:
        """Let go of everything: what still runs inside is ended."""
        for one in (self._talk, self._door, self.nameserver, *self._listeners.values()):
            if one is not None:
                one.close()
        if not self._ended:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


@contextmanager
def enter(plan: Plan) -> Iterator[Confined]:
    """Have a child make the namespaces; after ``ready`` the command waits for ``attend``.

    There may be no second thread yet. Raises UnsupportedError where the kernel refuses.
    """
    talk, inner_talk = handover.pair()
    door, inner_door = handover.pair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        talk.close()
        door.close()
        _live(inner_talk, inner_door, plan)
    inner_talk.close()
    inner_door.close()
    confined = Confined(pid, plan, talk, door)
    try:
        with _explained():
            _reply(talk)
            handover.send(talk, {"kept": namespace.map_ids(pid)})
        yield confined
    finally:
        confined.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StepError as error:
        raise forbidden.explain(error.step, error.number, namespace.switches()) from error
    except GoneError as error:
        raise UnsupportedError("What makes a network for the command was killed.") from error


def _reply(talk: socket.socket) -> list[socket.socket]:
    """Return the sockets of the next record. Raises the error that it tells."""
    record, sockets = handover.receive(talk)
    if "forbidden" in record:
        raise StepError(record["forbidden"], record["number"])
    if "error" in record:
        kind = getattr(errors, record["error"], PyodideOfflineError)
        raise kind(record["what"], why=record["why"], next_step=record["next_step"])
    if "fault" in record:
        raise RuntimeError(record["fault"])
    return sockets


def _live(talk: socket.socket, door: socket.socket, plan: Plan) -> NoReturn:
    """Be the process inside; never returns."""
    status = 1
    try:
        status = _inside(talk, door, plan)
    except GoneError:
        pass
    except KeyboardInterrupt:
        status = 130
    except BaseException as error:  # nothing may get back into the code that has forked
        with suppress(GoneError):
            handover.send(talk, _told(error))
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, StepError):
        return {"forbidden": error.step, "number": error.number}
    if isinstance(error, PyodideOfflineError):
        parts = {"what": error.what, "why": error.why, "next_step": error.next_step}
        return {"error": type(error).__name__, **parts}
    import traceback

    return {"fault": "".join(traceback.format_exception(error))[-4000:]}


def _inside(talk: socket.socket, door: socket.socket, plan: Plan) -> int:
    from pyodide_offline.network import ports

    namespace.new_user()
    handover.send(talk, {"unmapped": True})
    kept = int(handover.receive(talk)[0]["kept"])
    namespace.new_network_and_mounts()
    namespace.raise_loopback()
    _show_files(plan.names)
    for where in plan.listeners:
        with ports.listener(*where) as listener:
            handover.send(talk, {"listens": where[1]}, [listener])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as queries:
        queries.bind((seen.LOOPBACK, _DNS))
        handover.send(talk, {"asked": _DNS}, [queries])
    namespace.drop_capabilities(kept)
    _check(plan.names)
    handover.send(talk, {"ready": True})
    handover.receive(talk)

    def started() -> None:
        handover.send(talk, {"started": True})
        threading.Thread(target=_serve, args=(door,), daemon=True, name="door").start()

    def begin() -> None:
        namespace.die_with_parent(9)

    return process.supervise(plan.words, env=plan.environ, started=started, begin=begin)


def _show_files(names: Sequence[str]) -> None:
    """Show private files in the places of those that decide about names."""
    import tempfile

    texts: dict[str, Callable[[str], str]] = {
        "/etc/hosts": lambda text: seen.hosts(text, names),
        "/etc/nsswitch.conf": seen.nsswitch,
        "/etc/resolv.conf": lambda _: seen.RESOLV_CONF,
    }
    for name, change in texts.items():
        place = Path(name)
        if not place.exists():
            if place.name == "hosts":
                raise UnsupportedError(
                    "There is no /etc/hosts, so nothing can be shown in its place.",
                    next_step="Make one as root: echo '127.0.0.1 localhost' > /etc/hosts",
                )
            continue
        text = place.read_text(encoding="utf-8", errors="surrogateescape")
        with tempfile.NamedTemporaryFile(prefix="pyodide-offline-") as file:
            file.write(change(text).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            namespace.show(Path(file.name), place)
    nscd = Path("/run/nscd/socket")
    if nscd.exists():  # it would answer with the host's files
        namespace.show(Path(os.devnull), nscd)


def _check(names: Sequence[str]) -> None:
    """Try what is promised. Raises UnsupportedError where it does not hold."""
    if address := namespace.leak():
        raise UnsupportedError(
            f"The command could reach more than its targets: {address} was dialled.",
            why="The network that was made for it is not empty.",
        )
    for name in names:
        try:
            found = {str(one[4][0]) for one in socket.getaddrinfo(name, None)}
        except OSError:
            found = set()
        if found != {seen.LOOPBACK}:
            raise UnsupportedError(
                f"Inside, {name} leads to {', '.join(sorted(found)) or 'nothing'} "
                f"and not to {seen.LOOPBACK}.",
                why="Names are not looked up in /etc/hosts here.",
                next_step=forbidden.OTHERWISE,
            )


def _serve(door: socket.socket) -> NoReturn:
    """Hand out sockets; when the process outside is gone, end all that runs here."""
    while True:
        try:
            record, _ = handover.receive(door)
            with socket.socket(record["family"], socket.SOCK_STREAM) as made:
                handover.send(door, {}, [made])
        except GoneError:
            process.end_children()
            os._exit(_KILLED)
