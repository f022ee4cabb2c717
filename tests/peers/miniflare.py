"""The message that miniflare sends to workerd, as far as the tests need it."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import capnp

SCHEMA = Path(__file__).parents[1] / "data" / "workerd.capnp"
Worker = tuple[str, str, Sequence[str], str]


ALLOWED = ("public", "private", "240.0.0.0/4")


def message(
    *workers: Worker,
    bindings: Sequence[tuple[str, str]] = (),
    allow: Sequence[str] = ALLOWED,
    v8_flags: Sequence[str] = (),
) -> bytes:
    """Encode (name, date, flags, entry module); an entry that ends in .py is Python.

    ``bindings`` as (name, kind) are those of the first worker, ``allow`` what the internet
    service lets through.
    """
    config = _schema().Config.new_message()
    config.v8Flags = list(v8_flags)
    services = config.init("services", len(workers) + 3)
    for number, (name, date, flags, entry) in enumerate(workers):
        service = services[number]
        service.name = name
        worker = service.init("worker")
        worker.compatibilityDate = date
        worker.compatibilityFlags = list(flags)
        modules = worker.init("modules", 2)
        modules[0].name = entry
        setattr(modules[0], "pythonModule" if entry.endswith(".py") else "esModule", "code")
        if number == 0:
            for place, (binding, kind) in zip(
                worker.init("bindings", len(bindings)), bindings, strict=True
            ):
                place.name = binding
                setattr(place, kind, None if kind == "workerLoader" else "value")
        modules[1].name = "data"
        modules[1].data = bytes(range(256))
    services[-3].name = "internet"
    services[-3].init("network").allow = list(allow)
    services[-2].name = "loopback"
    services[-2].init("external").address = "127.0.0.1"
    services[-1].name = "script"
    services[-1].init("worker").serviceWorkerScript = "old style"
    encoded: bytes = config.to_bytes()
    return encoded


def flags(data: bytes) -> dict[str, list[str]]:
    """Return the compatibility flags of each worker of a message."""
    with _schema().Config.from_bytes(data) as config:
        return {
            service.name: list(service.worker.compatibilityFlags)
            for service in config.services
            if service.which() == "worker"
        }


def external(data: bytes) -> dict[str, tuple[str, str]]:
    """Return address and style of each external server of a message."""
    with _schema().Config.from_bytes(data) as config:
        return {
            service.name: (service.external.address, str(service.external.http.style))
            for service in config.services
            if service.which() == "external"
        }


def v8_flags(data: bytes) -> list[str]:
    """Return the flags for V8 of a message."""
    with _schema().Config.from_bytes(data) as config:
        return list(config.v8Flags)


def _schema() -> Any:
    return _load(SCHEMA)


@cache
def _load(path: Path) -> Any:
    return capnp.SchemaParser().load(str(path))
