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

# Words of eight bytes. Worker sources travel in the message: 512 MiB is far above any.
_LIMIT = 1 << 26


@dataclass(frozen=True)
class PythonWorker:
    """A worker with Python modules, as the configuration has it."""

    service: str
    date: str
    flags: tuple[str, ...]


Decide = Callable[[PythonWorker], tuple[str, ...]]


def rewrite(message: bytes, schema: Path, decide: Decide) -> bytes:
    """Return the message with the flags added that ``decide`` names for each Python worker.

    The same bytes come back where nothing is added. Raises WorkerdError for a message
    that the schema does not fit.
    """
    additions = {worker: decide(worker) for worker in python_workers(message, schema)}
    if not any(additions.values()):
        return message
    with _open(message, schema) as reader:
        config = reader.as_builder()
    for service in config.services:
        worker = _python_worker(service)
        if worker and additions.get(worker):
            flags = [
                *worker.flags,
                *(flag for flag in additions[worker] if flag not in worker.flags),
            ]
            service.worker.compatibilityFlags = flags
    rewritten: bytes = config.to_bytes()
    return rewritten


def python_workers(message: bytes, schema: Path) -> list[PythonWorker]:
    """Return the Python workers of a message, in its order. Raises WorkerdError."""
    with _open(message, schema) as config:
        found = [_python_worker(service) for service in config.services]
    return [worker for worker in found if worker]


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
