"""This product from the kit's own wheels, where there is nothing but Python.

Part of ``kit.pyz``: standard library only. The wheels go into an environment of their own:
laid out at once where the kit has a plan that fits, else installed by the pip that is one of
them; no index is asked.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pyodide_offline import disk
from pyodide_offline.errors import ToolchainError, UnsupportedError
from pyodide_offline.kits.crew import Crew
from pyodide_offline.kits.installing import Clash
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.rack import Rack

PRODUCT = "pyodide-offline"
_PIP = "pip"


def home(root: Path, generation: str) -> Path:
    """Return where the product of an unpacked kit is installed for the Python that runs."""
    return root / "programs" / f"{generation}-{sys.implementation.cache_tag}"


def command(python: Path, words: Sequence[str], project: Path | None) -> list[str]:
    """Return the command line of the installed product that runs ``words`` from the kit."""
    folder = ["--project", str(project)] if project else []
    return [str(python), "-I", "-m", "pyodide_offline", "kit", "run", *folder, "--", *words]


def replace(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Become another program; on Windows, which cannot, wait for it and return its status."""
    if os.name == "nt":
        return subprocess.run(words, env=dict(environ), check=False).returncode
    sys.stdout.flush()
    return os.execve(words[0], list(words), dict(environ))  # noqa: S606 - no shell is wanted


def provide(home: Path, items: Iterable[Item], places: Mapping[str, Path]) -> Path:
    """Return the Python that has this product, made in ``home`` if it is not there.

    ``places`` maps hex digests to files that were verified. Raises UnsupportedError if the
    kit has no wheels for this Python, StorageError for the disk.
    """
    python = _python(home)
    if python.exists():
        return python
    rack = Rack(items, places)
    wheels = {
        item.file: places[item.sha256]
        for item in items
        if item.kind == "wheel" and item.sha256 in places
    }
    installer = next((name for name in wheels if name.startswith("pip-")), None)
    if installer is None or not any(name.startswith("pyodide_offline-") for name in wheels):
        raise UnsupportedError(
            "This kit does not bring the program that runs it.",
            next_step="Make it anew with: pyodide-offline kit pack. From a kit of folders only: "
            "pyodide-offline kit browser",
        )
    home.parent.mkdir(parents=True, exist_ok=True)
    # What a killed start had begun; one that goes on beside this one is younger.
    disk.sweep(home, age=3600)
    with (
        disk.guarded(home),
        tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}.") as scratch,
    ):
        temporary, shelf = Path(scratch) / "made", Path(scratch) / "wheels"
        # Moved afterwards: it knows where its base is, and is started by its Python alone.
        maker = venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False, clear=True)
        maker.create(temporary)
        if not _placed(temporary, rack):
            maker.create(temporary)
            shelf.mkdir()
            for name, place in wheels.items():
                _link(place, shelf / name)
            _install(_python(temporary), shelf, installer)
        if not python.exists():  # another start may have made it meanwhile
            temporary.rename(home)
    return python


def _placed(home: Path, rack: Rack) -> bool:
    """Lay the wheels out where Python looks for them, if the kit's plan has them."""
    fit = rack.plan()
    if fit is None or not rack.have(fit[1].product):
        return False
    series = f"python{sys.version_info.major}.{sys.version_info.minor}"
    with suppress(Clash), Crew() as crew:
        crew.install(rack.wheels(fit[1].product, home / "lib" / series / "site-packages"))
        return True
    return False


def _install(python: Path, shelf: Path, installer: str) -> None:
    command = [
        *(str(python), "-I", str(shelf / installer / "pip"), "install", "--no-index"),
        *("--no-compile", "--no-warn-script-location", "--quiet", "--find-links", str(shelf)),
        *("--only-binary", ":all:", _PIP, PRODUCT),
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environ = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, env=environ, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ToolchainError(
            f"This product cannot be installed from the kit for Python {sys.version.split()[0]}.",
            why=" ".join(lines[-2:])[:400],
            next_step="Start kit.pyz with the Python that the kit was made for (pack --python).",
        )


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
