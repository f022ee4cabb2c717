"""Which of a kit's archives make which folder: the plan that spares the other machine
every resolution. Worked out from the same locks as the kit itself.

An archive is given roles when it is gathered; here they become a plan. What cannot be
worked out is left out of it, and installed by npm, pip or uv from the kit's registry.
"""

import email
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pyodide_offline import archive
from pyodide_offline.distribution import npmlock
from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.features.kit import product
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.targets import Target
from pyodide_offline.kits.plan import Native, Plan
from pyodide_offline.session import Session
from pyodide_offline.workers import interface, probe, project
from pyodide_offline.workers.toolchain import pywrangler

PRODUCT, INSIDE, PURE = "product", "inside", "pure"
_SDK = "workers-runtime-sdk"
_MACHINES = {
    ("linux", "x64"): "x86_64",
    ("linux", "arm64"): "aarch64",
    ("darwin", "x64"): "x86_64",
    ("darwin", "arm64"): "arm64",
    ("win32", "x64"): "AMD64",
}
_SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


def native(target: str) -> str:
    """Return the role of a wheel for a target's own Python."""
    return f"native {target}"


def beside(target: str) -> str:
    """Return the role of a wheel for a target's .venv-workers."""
    return f"beside {target}"


def needed(marker: str, series: str) -> bool:
    """Say whether a package of a lock is for Pyodide with Python ``series``."""
    return not marker or Marker(marker).evaluate(
        {
            **_versions(series),
            "sys_platform": "emscripten",
            "platform_system": "Emscripten",
            "platform_machine": "wasm32",
            "os_name": "posix",
        }
    )


def plan(
    found: Sequence[Archive],
    lock: str,
    *,
    wanted: Iterable[Target],
    python: str,
    series: str,
    answers: Iterable[tuple[str, str, Any]],
) -> Plan:
    """Return the plan for archives: ``lock`` is npm's, with wrangler in it.

    ``python`` is the series of the targets' own Python, ``series`` the worker's.
    """
    inside = [one for one in found if INSIDE in one.roles]
    whole = any(one.item.name == _SDK for one in inside)
    return Plan(
        python=python,
        native={target.name: _native(found, lock, target, python) for target in wanted},
        series=series,
        inside=_files(inside) if whole else (),
        pure=_files(one for one in inside if PURE in one.roles),
        answers=tuple(answers),
    )


def answers(session: Session, binary: Path, worker: project.Worker) -> list[tuple[str, str, Any]]:
    """Return what this machine's workerd has told of itself, as the store remembers it."""
    store = session.store
    want = probe.want(store, binary, worker.date, worker.flags)
    names = [("want", want.question), ("interface", want.question)]
    names += [("binary-texts", probe.identify(store, binary).hex)]
    if remembered := interface.version_key(store, binary, want):
        names.append(("public-version", remembered))
    known = [(kind, key, store.memo(kind, key)) for kind, key in names]
    return [(kind, key, value) for kind, key, value in known if value is not None]


def _native(found: Sequence[Archive], lock: str, target: Target, python: str) -> Native:
    ours = [one for one in found if native(target.name) in one.roles]
    installed = [*ours, *(one for one in found if PRODUCT in one.roles)]
    environment = _environment(target, python)
    return Native(
        product=_closure(installed, [*product.requirements(), product.NAME, "pip"], environment),
        tools=_closure(ours, pywrangler.REQUIREMENTS, environment),
        node=_files(one for one in ours if one.item.kind == "node"),
        beside=_files(one for one in found if beside(target.name) in one.roles),
        modules=_modules(found, lock, target),
    )


def _modules(found: Sequence[Archive], lock: str, target: Target) -> dict[str, str]:
    have = {(one.item.name, one.item.version) for one in found if one.item.kind == "npm"}
    places = npmlock.installed(lock, "wrangler", target.npm)
    if any((one.name, one.version) not in have for one in places.values()):
        return {}
    return {place: f"{one.name}@{one.version}" for place, one in sorted(places.items())}


def _closure(
    wheels: Iterable[Archive], requirements: Iterable[str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the wheels that pip would install for requirements; none if one is missing."""
    by_name: dict[str, Archive] = {canonicalize_name(one.item.name): one for one in wheels}
    needs: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        wanted = waiting.pop()
        if wanted.marker and not wanted.marker.evaluate({**environment, "extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        if name not in by_name:
            return ()
        if name not in needs:
            needs[name] = _requirements(by_name[name])
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [
                    Requirement(str(one).partition(";")[0])
                    for one in needs[name]
                    if one.marker is None or one.marker.evaluate({**environment, "extra": extra})
                ]
    return _files(by_name[name] for name in needs)


def _requirements(one: Archive) -> list[Requirement]:
    stem = "-".join(one.item.file.split("-")[:2])
    name = f"{stem}.dist-info/METADATA"
    try:
        metadata = archive.read_members(one.path, [name])[name]
    except (PyodideOfflineError, KeyError):
        return []
    fields = email.message_from_bytes(metadata).get_all("Requires-Dist", [])
    return [Requirement(field) for field in fields]


def _files(found: Iterable[Archive]) -> tuple[str, ...]:
    return tuple(sorted({one.item.file for one in found}))


def _environment(target: Target, python: str) -> dict[str, str]:
    return {
        **_versions(python),
        "sys_platform": target.npm.os,
        "platform_system": _SYSTEMS[target.npm.os],
        "platform_machine": _MACHINES[target.npm.os, target.npm.cpu],
        "os_name": "nt" if target.npm.os == "win32" else "posix",
    }


def _versions(series: str) -> dict[str, str]:
    return {
        "python_version": series,
        "python_full_version": f"{series}.0",
        "implementation_version": f"{series}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
    }
