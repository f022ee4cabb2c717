"""How a kit's archives are laid out where it is used, as its locks have it. Pure.

``plan.json`` is written where the kit is made, and one item of it. It says which archives
make which folder, so that nothing has to be resolved and no installer started. A kit
without one, or whose plan does not fit, is installed by npm, pip and uv as ever. Standard
library only: part of ``kit.pyz``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits.manifest import Item

KIND, NAME, FILE = "file", "plan", "plan.json"
FORMAT = 1
_CPUS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Native:
    """What is for one target: wheels (file names) for its own Python, and npm's packages.

    ``product`` has this product with what it needs, ``tools`` pywrangler and uv, ``node``
    Node; ``beside`` goes into the worker's .venv-workers. ``modules`` maps a place such as
    ``node_modules/ws`` to a package (``ws@8.21.0``): the wrangler's and what it needs.
    """

    product: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What goes where.

    ``python`` is the series of the target's own Python. ``inside`` are the wheels for
    python_modules of a worker on Python ``series``, and ``pure`` those of them whose compiled
    part is left out; no ``inside``: not known. ``answers`` are what this kit's workerd said on
    the machine that packed: kind, key, value.
    """

    python: str
    native: Mapping[str, Native] = field(default_factory=dict)
    series: str = ""
    inside: tuple[str, ...] = ()
    pure: tuple[str, ...] = ()
    answers: tuple[tuple[str, str, Any], ...] = ()


def target(platform: str, machine: str) -> str:
    """Return the target of ``sys.platform`` and ``platform.machine()``, of a kit or not."""
    return f"{platform}-{_CPUS.get(machine.lower(), machine.lower())}"


def item(items: Iterable[Item]) -> Item | None:
    """Return the item that is the plan."""
    return next((one for one in items if (one.kind, one.name) == (KIND, NAME)), None)


def encode(plan: Plan) -> bytes:
    """Return the file's bytes, the same for the same plan."""
    return json.dumps({"format": FORMAT, **asdict(plan)}, sort_keys=True, indent=1).encode() + b"\n"


def decode(data: bytes) -> Plan | None:
    """Read a plan; None for a later release's. Raises IntegrityError."""
    try:
        record = json.loads(data)
        if record["format"] > FORMAT:
            return None
        return Plan(
            python=str(record["python"]),
            native={str(name): _native(one) for name, one in record["native"].items()},
            series=str(record["series"]),
            inside=_words(record["inside"]),
            pure=_words(record["pure"]),
            answers=tuple((str(kind), str(key), value) for kind, key, value in record["answers"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            "The kit's plan cannot be used.", why=f"{type(error).__name__}: {error}."
        ) from error


def _native(record: Mapping[str, Any]) -> Native:
    return Native(
        product=_words(record["product"]),
        tools=_words(record["tools"]),
        node=_words(record["node"]),
        beside=_words(record["beside"]),
        modules={_place(place): str(one) for place, one in record["modules"].items()},
    )


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("a list of names is none")
    return tuple(value)


def _place(place: str) -> str:
    """Return a place in a node_modules. Raises ValueError for what leads out of it."""
    parts = place.split("/")
    plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts)
    if parts[0] != "node_modules" or not plain or set(place) & set("\\:"):
        raise ValueError(f"{place[:80]!r} leads out")
    return place
