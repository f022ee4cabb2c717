"""In Pyodide under Node: byte code in place of source, made by the Python that will run it.

This runs in Pyodide, so it imports nothing of pyodide-offline.
"""

import base64
import hashlib
import importlib.util
import marshal
import sys
import zipfile
from pathlib import Path

_PURE = "-none-any.whl"
# All of a wheel is held at once, in a memory of 4 GiB at most.
_ROOM = 512 << 20


def wheels(folder: str) -> list[list[str]]:
    """Replace each pure wheel by a compiled one; return pairs of the old and the new name."""
    return [
        [path.name, compiled(path).name]
        for path in sorted(Path(folder).glob(f"*{_PURE}"))
        if not path.name.endswith(f"-cp{_series()}{_PURE}")
    ]


def compiled(path: Path) -> Path:
    """Write the compiled wheel beside a wheel and remove that one.

    Raises ValueError for one that would unpack to too much. zipfile gives no more of a member
    than its list claims; other bounds were held when the wheel was read (``archive``).
    """
    name, version, *_ = path.name.split("-")
    tag = f"cp{_series()}-none-any"
    target = path.with_name(f"{name}-{version}-{tag}.whl")
    contents: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        if sum(one.file_size for one in archive.infolist()) > _ROOM:
            raise ValueError(f"{path.name} unpacks to over {_ROOM >> 20} MiB")
        for member in archive.namelist():
            if not member.endswith("/"):
                contents.update([byte_code(member, archive.read(member))])
    info = next(one.partition("/")[0] for one in contents if one.endswith(".dist-info/WHEEL"))
    lines = contents[f"{info}/WHEEL"].decode().splitlines()
    kept = [line for line in lines if line and not line.startswith("Tag:")]
    contents[f"{info}/WHEEL"] = "\n".join([*kept, f"Tag: {tag}", ""]).encode()
    record = f"{info}/RECORD"
    contents.pop(record, None)
    rows = [f"{one},{_hash(data)},{len(data)}" for one, data in sorted(contents.items())]
    contents[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    path.unlink()
    with zipfile.ZipFile(target, "w") as archive:
        for one in sorted(contents):
            entry = zipfile.ZipInfo(one, (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, contents[one], zipfile.ZIP_DEFLATED)
    return target


def byte_code(name: str, data: bytes) -> tuple[str, bytes]:
    """Return a module as unchecked byte code (PEP 552); what is no module stays as it is."""
    if not name.endswith(".py"):
        return name, data
    try:
        code = compile(data, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # a template, or of another Python
        return name, data
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    return f"{name}c", head + importlib.util.source_hash(data) + marshal.dumps(code)


def _series() -> str:
    return "".join(map(str, sys.version_info[:2]))


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
