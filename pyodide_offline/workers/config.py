"""The configuration that miniflare sends to workerd: which Python workers, which flags.

A binary Cap'n Proto message of the schema ``workerd.capnp`` that npm's ``workerd``
package ships for its own release. Only schemas that ``schema.checked`` has passed may
be given here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import capnp

from pyodide_offline.errors import WorkerdError
from pyodide_offline.network.permits import Permits
from pyodide_offline.workers.probe import merged

# Words of eight bytes. Worker sources travel in the message: 512 MiB is far above any.
_LIMIT = 1 << 26
_BINARY = ("data", "wasm")
# V8 begins with 1 MB for new objects and collects often while Pyodide's code is compiled: with
# more room a start takes 3 % less. Each isolate may grow to twice that anyway.
_ROOM = "--min-semi-space-size=8"
_PYTHON = "python_workers"
_INTERNET = "internet"
# Users' workers have names that begin so, and with them these, which wrangler runs in a process
# of its own: they reach the users' workers through the internet service.
_USERS = "core:user:"
_BETWEEN = {f"{_USERS}ProxyWorker", f"{_USERS}InspectorProxyWorker"}


@dataclass(frozen=True)
class PythonWorker:
    """A worker with Python modules, as the configuration has it."""

    service: str
    date: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """All that decides what a Python worker's memory holds after its top level ran.

    ``modules`` as (name, union member, content); ``bindings`` as (name, kind).
    """

    date: str
    flags: tuple[str, ...]
    modules: tuple[tuple[str, str, bytes], ...]
    bindings: tuple[tuple[str, str], ...] = ()


Decide = Callable[[PythonWorker], tuple[str, ...]]
# Where workerd finds what stands in for the internet, with the permits that this has.
Internet = Callable[[Permits], str]


def rewrite(
    message: bytes, schema: Path, decide: Decide, internet: Internet | None = None
) -> bytes:
    """Return the message with the flags that ``decide`` names for each Python worker.

    V8 gets room for them, where there are any.

    A worker without Python loses the flags of Python workers: miniflare gives its engine
    of Workflows those of the user's worker and an old date, for which workerd would want
    one more bundle. With ``internet`` the users' requests are led to where it says; they
    arrive there as at a proxy: style ``proxy`` of HttpOptions in workerd.capnp. The same
    bytes come back where nothing changes. Raises WorkerdError for a message that the
    schema does not fit.
    """
    additions = {worker: decide(worker) for worker in python_workers(message, schema)}
    with _open(message, schema) as reader:
        leads = internet is not None and _users_alone(reader.services)
        if not (leads or any(additions.values()) or any(map(_stray, reader.services))):
            return message
        config = reader.as_builder()
    for service in config.services:
        worker = _python_worker(service)
        if worker and additions.get(worker):
            service.worker.compatibilityFlags = list(merged(worker.flags, additions[worker]))
        elif stray := _stray(service):
            kept = [flag for flag in service.worker.compatibilityFlags if flag not in stray]
            service.worker.compatibilityFlags = kept
        elif leads and internet:
            _lead(service, internet)
    if any(additions.values()):
        config.v8Flags = [_ROOM, *config.v8Flags]  # of two the last one counts
    rewritten: bytes = config.to_bytes()
    return rewritten


def _users_alone(services: Any) -> bool:  # noqa: ANN401 - pycapnp's readers
    """Say whether users' workers are in a process, and wrangler's own between them not."""
    names = {service.name for service in services}
    return not names & _BETWEEN and any(name.startswith(_USERS) for name in names)


def _lead(service: Any, internet: Internet) -> None:  # noqa: ANN401 - likewise
    if service.name == _INTERNET and service.which() == "network":
        network = service.network
        permits = Permits(tuple(network.allow), tuple(network.deny))
        external = service.init("external")
        external.address = internet(permits)
        external.init("http").style = "proxy"


def python_workers(message: bytes, schema: Path) -> list[PythonWorker]:
    """Return the Python workers of a message, in its order. Raises WorkerdError."""
    with _open(message, schema) as config:
        found = [_python_worker(service) for service in config.services]
    return [worker for worker in found if worker]


def loaders(message: bytes, schema: Path) -> list[PythonWorker]:
    """Return the workers that load others at run time, as Python workers of their dates.

    Raises WorkerdError.
    """
    with _open(message, schema) as config:
        return [
            PythonWorker(service.name, service.worker.compatibilityDate, (_PYTHON,))
            for service in config.services
            if service.which() == "worker" and _loads(service.worker)
        ]


def only_code(message: bytes, schema: Path) -> Code | None:
    """Return the code of the one Python worker of a message; None if there are several.

    None too where a worker is loaded at run time: workerd's snapshot flags count for the
    whole process, and that worker's code is not known here. Raises WorkerdError.
    """
    with _open(message, schema) as config:
        workers = [service.worker for service in config.services if service.which() == "worker"]
        if any(map(_loads, workers)):
            return None
        python = [service.worker for service in config.services if _python_worker(service)]
        return _code(python[0]) if len(python) == 1 else None


def bare(code: Code, schema: Path) -> bytes:
    """Return a configuration with this code alone: no bindings, a port of its own choice."""
    config = _schema(schema).Config.new_message()
    service = config.init("services", 1)[0]
    service.name = "snapshot"
    worker = service.init("worker")
    worker.compatibilityDate = code.date
    worker.compatibilityFlags = list(code.flags)
    listed = worker.init("modules", len(code.modules))
    for place, (name, form, content) in zip(listed, code.modules, strict=True):
        place.name = name
        setattr(place, form, content if form in _BINARY else content.decode())
    socket = config.init("sockets", 1)[0]
    socket.name = "http"
    socket.address = "127.0.0.1:0"
    socket.init("http")
    socket.service.name = "snapshot"
    encoded: bytes = config.to_bytes()
    return encoded


def _code(worker: Any) -> Code:  # noqa: ANN401 - pycapnp's readers
    modules = []
    for module in worker.modules:
        form = str(module.which())
        content = getattr(module, form)
        modules.append(
            (module.name, form, content.encode() if form not in _BINARY else bytes(content))
        )
    bindings = tuple((binding.name, str(binding.which())) for binding in worker.bindings)
    flags = tuple(worker.compatibilityFlags)
    return Code(worker.compatibilityDate, flags, tuple(modules), bindings)


def load(schema: Path) -> None:
    """Read a schema ahead of its first use. One that cannot be parsed ends the process."""
    _schema(schema)


def _python_worker(service: Any) -> PythonWorker | None:  # noqa: ANN401 - pycapnp's readers
    if service.which() != "worker" or service.worker.which() != "modules":
        return None
    if not any(module.which() == "pythonModule" for module in service.worker.modules):
        return None
    worker = service.worker
    return PythonWorker(service.name, worker.compatibilityDate, tuple(worker.compatibilityFlags))


def _loads(worker: Any) -> bool:  # noqa: ANN401 - likewise
    return any(binding.which() == "workerLoader" for binding in worker.bindings)


def _stray(service: Any) -> set[str]:  # noqa: ANN401 - likewise
    """Return the flags of Python workers that a worker without Python carries."""
    if service.which() != "worker" or _python_worker(service):
        return set()
    return {flag for flag in service.worker.compatibilityFlags if flag.startswith(_PYTHON)}


@contextmanager
def _open(message: bytes, schema: Path) -> Iterator[Any]:
    try:
        config = _schema(schema).Config
        with config.from_bytes(message, traversal_limit_in_words=_LIMIT) as reader:
            yield reader
    except (capnp.KjException, OSError, ValueError) as error:
        why = str(error).splitlines()
        raise WorkerdError(
            "The configuration that miniflare sent does not fit workerd's schema.",
            why=why[0] if why else type(error).__name__,
        ) from None


@cache
def _schema(path: Path) -> Any:  # noqa: ANN401 - likewise
    # A parser each: of two schemas with the same ids in one parser the second aborts the process.
    # Without the import folder the schema's own import of /capnp/c++.capnp does so too.
    folder = str(Path(capnp.__file__).parent.parent)
    return capnp.SchemaParser().load(str(path), imports=[folder])
