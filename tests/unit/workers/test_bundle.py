"""The Cap'n Proto message of a bundle."""

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.workers import bundle
from pyodide_offline.workers.bundle import Module

MODULES = [
    Module("pyodideRuntime-internal:pyodide.asm", "src", b"export default 1"),
    Module("pyodideRuntime-internal:pyodide.asm.wasm", "wasm", b"\0asm\1\0\0\0"),
    Module("pyodideRuntime-internal:python_stdlib.zip", "data", bytes(range(256)) * 9),
]


def test_modules_come_back_as_they_went_in():
    assert bundle.decode(bundle.encode(MODULES)) == MODULES


def test_the_same_modules_give_the_same_bytes():
    assert bundle.encode(MODULES) == bundle.encode(list(MODULES))


def test_the_layout_on_the_wire_is_workerds():
    # One segment; root struct Bundle with one pointer; a list of composites with one data
    # word (type and union tag) and five pointers. Any change here is a change of format.
    data = bundle.encode([Module("n", "src", b"x")])
    assert data[:4] == b"\0\0\0\0"
    assert data[8:16] == b"\0\0\0\0\0\0\1\0"
    tag = int.from_bytes(data[24:32], "little")
    assert (tag >> 32 & 0xFFFF, tag >> 48) == (1, 4)
    assert data[32:36] == b"\2\0\0\0"  # type: internal, union member: src


@pytest.mark.parametrize("data", [b"", b"?", b"\0" * 7, b"\xff" * 64, b"<html>blocked</html>" * 9])
def test_what_is_no_message_is_refused(data):
    with pytest.raises(IntegrityError, match="not a Pyodide bundle"):
        bundle.decode(data)
