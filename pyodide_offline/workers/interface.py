"""How an assembled bundle gets into a workerd binary: asked, never looked up.

Two questions. Which module does it import, under which id, with which flags: answered by a
bundle whose every possible module throws its own name, in some 30 ms. Which Pyodide
version does it accept: answered by starting a whole bundle once. Both answers are kept
under the binary's own digest. Five interfaces were met in the releases of 2026; they
need three forms of a bundle (``glue.ASM`` and following).
"""

import json
import mmap
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyodide_offline import process
from pyodide_offline.errors import UnsupportedError
from pyodide_offline.store import Store
from pyodide_offline.workers import assembly, bundle, glue, probe
from pyodide_offline.workers.packages import PACKAGES_FLAG, fill_packages
from pyodide_offline.workers.probe import DEVELOPMENT_FLAG, DEVELOPMENT_ID, Want

# Two bundles, since the wasm is of another kind in the oldest form.
_ASKED = ((glue.ASM, glue.SETUP), (glue.SETUP_AS_DATA,))
# Said by 1.20260923.1 and later of `dev`, by June's releases and older of any bundle.
_MISMATCH = re.compile(r"Pyodide version mismatch, expected '([^']+)'")
_SIGNAL = re.compile(r"pyodide-offline asks for (\S+)\.")
_DOWNLOAD = re.compile(r"Failed to download package\b.*?; path = \S+/([^/;\s]+\.tar\.gz)")
_STARTED = "pyodide-offline: Python started"
# Older releases carry Pyodide's lockfile as text: these are Python's own standard library
# in packages, and the libraries that it needs. Workers' other packages are not among them.
_ARCHIVE = re.compile(
    rb'"file_name": ?"([\w.+-]+\.tar\.gz)"[^{}]*?'
    rb'"package_type": ?"(?:cpython_module|shared_library)"'
)
_DATED = re.compile(rb"python_workers_\d[\w]*")
# workerd links by these names before it runs anything.
_EXPORTS = "export const instantiateEmscriptenModule = 0, _createPyodideModule = 0;"
_EMPTY_WASM = b"\0asm\1\0\0\0"
_EMPTY_ZIP = b"PK\5\6" + bytes(18)


@dataclass(frozen=True)
class Interface:
    """What an assembled bundle has to be for one binary, date and set of flags.

    ``flags`` must be added to the worker's; ``archives`` are packages that workerd would
    download at start, and for which empty ones must lie in its package cache.
    """

    form: str
    bundle_id: str
    flags: tuple[str, ...]
    archives: tuple[str, ...]


def ask(store: Store, binary: Path, want: Want, date: str, flags: Sequence[str]) -> Interface:
    """Ask which module the binary imports from a bundle that is not the official one.

    Where a digest is carried only a bundle for development can be another one. Raises
    UnsupportedError, with what workerd said, if it takes none.
    """
    key = probe.question(store, binary, date, flags)
    known = store.memo("interface", key)
    if isinstance(known, dict):
        return Interface(
            known["form"], known["id"], tuple(known["flags"]), tuple(known["archives"])
        )
    text = _texts(store, binary)
    archives = list(text["archives"])
    ways: list[tuple[str, tuple[str, ...]]] = [(want.bundle_id, ())]
    if want.digest is not None:
        # Up to August's releases a dated flag, which the date may turn on, wins over `dev`.
        off = [f"no_{flag}" for flag in text["dated"]]
        ways = [(DEVELOPMENT_ID, (DEVELOPMENT_FLAG,))]
        ways += [(DEVELOPMENT_ID, (DEVELOPMENT_FLAG, one)) for one in off]
        ways += [(DEVELOPMENT_ID, (DEVELOPMENT_FLAG, *off))] if len(off) > 1 else []
    said = ""
    for bundle_id, added in ways:
        form, said = _imported(binary, bundle_id, date, probe.merged(flags, added), archives)
        if form:
            found = Interface(form, bundle_id, added, tuple(archives))
            remembered = {"form": form, "id": bundle_id, "flags": added, "archives": archives}
            store.remember("interface", key, remembered)
            return found
    raise UnsupportedError(
        f"This workerd ({binary}) takes an assembled bundle in none of the known ways.",
        why=process.tail(said, 2),
        next_step=f"Use the official bundle {want.file_name} (--bundle official), "
        "or a newer pyodide-offline.",
    )


def known_version(store: Store, binary: Path, version: str, interface: Interface) -> str | None:
    """Return the public version under which Pyodide ``version`` ran on this binary before."""
    known = store.memo("public-version", _version_key(store, binary, version, interface))
    return known if isinstance(known, str) else None


def remember_version(
    store: Store, binary: Path, version: str, interface: Interface, public: str
) -> None:
    """Keep that Pyodide ``version`` ran on this binary under a public version."""
    store.remember("public-version", _version_key(store, binary, version, interface), public)


def version_key(store: Store, binary: Path, want: Want) -> str | None:
    """Return the key under which it is remembered that the bundle of a question ran."""
    known = store.memo("interface", want.question)
    if not isinstance(known, dict):
        return None
    taken = Interface(known["form"], known["id"], tuple(known["flags"]), tuple(known["archives"]))
    return _version_key(store, binary, want.pyodide, taken)


def _version_key(store: Store, binary: Path, version: str, interface: Interface) -> str:
    # The rules too: what ran was made by them.
    binary_key = probe.identify(store, binary).hex
    return f"{binary_key}-{version}-{interface.bundle_id}-{glue.revision()}"


def start(
    binary: Path, path: Path, interface: Interface, date: str, flags: Sequence[str]
) -> str | None:
    """Start Python once from an assembled bundle; None if it ran.

    Otherwise the Pyodide version that the binary expected instead. Raises UnsupportedError.
    """
    said = []
    source = f"print({_STARTED!r})"
    with probe.folder(source, date, probe.merged(flags, interface.flags)) as folder:
        cache_dir = folder / "cache"
        (cache_dir / probe.bundle_file_name(interface.bundle_id)).symlink_to(path.absolute())
        more = _packages(folder, interface.archives)
        with closing(probe.lines(binary, folder, *more, seconds=120)) as lines:
            for line in lines:
                if _STARTED in line:
                    return None
                if mismatch := _MISMATCH.search(line):
                    return mismatch[1]
                said.append(line)
    raise UnsupportedError(
        f"This workerd ({binary}) does not start Python from the assembled bundle.",
        why=process.tail("\n".join(said), 2),
        next_step="Use the official bundle (--bundle official), or a newer pyodide-offline.",
    )


def _packages(folder: Path, archives: Sequence[str]) -> list[str]:
    if not archives:
        return []
    fill_packages(folder / "packages", archives)
    return [f"{PACKAGES_FLAG}{folder / 'packages'}"]


def _imported(
    binary: Path, bundle_id: str, date: str, flags: Sequence[str], archives: list[str]
) -> tuple[str | None, str]:
    """Return the form whose module was imported, and what was said; archives are added to."""
    heard = []
    for forms in _ASKED:
        found, said = _asked(binary, _signals(forms), bundle_id, date, flags, archives)
        if found:
            return found, said
        heard.append(said)
    return None, "\n".join(heard)


def _asked(
    binary: Path,
    signals: bytes,
    bundle_id: str,
    date: str,
    flags: Sequence[str],
    archives: list[str],
) -> tuple[str | None, str]:
    said: list[str] = []
    more = True
    while more:
        more, said = False, []
        with probe.folder("pass", date, flags) as folder:
            target = folder / "cache" / probe.bundle_file_name(bundle_id)
            target.write_bytes(signals)
            options = ["--verbose", *_packages(folder, archives)]
            with closing(probe.lines(binary, folder, *options, seconds=30)) as lines:
                for line in lines:
                    said.append(line)
                    if signal := _SIGNAL.search(line):
                        return signal[1], line
                    if probe.LOADING.search(line):
                        # It wants another bundle than ours: ended before it has downloaded any.
                        break
                    if (missing := _DOWNLOAD.search(line)) is None:
                        continue
                    if missing[1] in archives:
                        break  # asked for a second time: the list is whole
                    archives.append(missing[1])
                    more = True
    return None, "\n".join(said)


@cache
def _signals(forms: tuple[str, ...]) -> bytes:
    """Return a bundle whose modules, under the names of the forms, only say which they are."""
    modules: dict[str, bundle.Module] = {}
    for form in forms:
        code = f'throw new Error("pyodide-offline asks for {form}."); {_EXPORTS}'.encode()
        for module in assembly.shaped(form, code, _EMPTY_WASM, _EMPTY_ZIP):
            modules.setdefault(module.name, module)
    return bundle.encode(list(modules.values()))


def _texts(store: Store, binary: Path) -> dict[str, list[str]]:
    """Return what stands in the binary as text: archives of its lockfile, dated flags."""
    key = probe.identify(store, binary).hex
    known = store.memo("binary-texts", key)
    if isinstance(known, dict):
        return known
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = {
            "archives": sorted({match[1].decode() for match in _ARCHIVE.finditer(data)}),
            "dated": sorted({match[0].decode() for match in _DATED.finditer(data)}),
        }
    store.remember("binary-texts", key, json.loads(json.dumps(found)))
    return found


def archives(store: Store, binary: Path) -> list[str]:
    """Return the packages of Python's standard library that stand in the binary's lockfile."""
    return list(_texts(store, binary)["archives"])


def dated_flags(store: Store, binary: Path) -> list[str]:
    """Return the flags that choose a Pyodide, as they stand in the binary."""
    return list(_texts(store, binary)["dated"])
