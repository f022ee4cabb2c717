"""A Pyodide bundle as a Cap'n Proto message: modules in, bytes out, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import capnp

from pyodide_offline.errors import IntegrityError

_SCHEMA = Path(__file__).with_name("bundle.capnp")
# In words of eight bytes: a bundle is some 13 MB, an official one with packages less than 100.
_LIMIT = 1 << 25


@dataclass(frozen=True)
class Module:
    """One module: ``form`` is the union member (src, wasm, data), content as bytes."""

    name: str
    form: str
    content: bytes


def encode(modules: Sequence[Module]) -> bytes:
    """Return the message, all modules of type ``internal``. Same input, same bytes."""
    message = _schema().Bundle.new_message()
    listed = message.init("modules", len(modules))
    for place, module in zip(listed, modules, strict=True):
        place.name = module.name
        setattr(place, module.form, module.content)
        place.type = "internal"
    encoded: bytes = message.to_bytes()
    return encoded


def decode(data: bytes) -> list[Module]:
    """Read a message back. Raises IntegrityError if it is none."""
    try:
        with _schema().Bundle.from_bytes(data, traversal_limit_in_words=_LIMIT) as message:
            return [_read(module) for module in message.modules]
    except (capnp.KjException, ValueError) as error:
        why = str(error).splitlines()
        raise IntegrityError("This is not a Pyodide bundle.", why=why[0] if why else "") from None


def _read(module: Any) -> Module:  # noqa: ANN401 - pycapnp makes its readers at run time
    form = str(module.which())
    content = getattr(module, form)
    return Module(module.name, form, content.encode() if form == "json" else bytes(content))


@cache
def _schema() -> Any:  # noqa: ANN401 - likewise
    return capnp.load(str(_SCHEMA))
