"""The packages of several workers, synced once by the product and dealt out to each."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

SDK = "workers-runtime-sdk"
_CONFIG = """\
name = "packages"
main = "entry.py"
compatibility_date = "2026-11-17"
compatibility_flags = ["python_workers"]
"""


def synced(folder: Path, packages: Iterable[str], program: str, env: Mapping[str, str]) -> Path:
    """Sync a project with these packages and return its ``python_modules``."""
    folder.mkdir()
    named = ", ".join(f'"{package}"' for package in packages)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "packages"\nversion = "0"\nrequires-python = ">=3.13"\n'
        f"dependencies = [{named}]\n"
    )
    (folder / "wrangler.toml").write_text(_CONFIG)
    (folder / "entry.py").write_text("")
    done = subprocess.run(
        [program, "run", "--", "pywrangler", "sync"],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "python_modules"


def deal(source: Path, worker: Path, *packages: str) -> None:
    """Give a worker the SDK and these packages, out of what was synced."""
    wanted = {_normal(name) for name in (SDK, *packages)}
    for one in distributions(path=[str(source)]):
        if _normal(one.name) not in wanted:
            continue
        wanted.remove(_normal(one.name))
        for file in one.files or ():
            path = source / file
            # Scripts lie outside of the folder; compiled files are made anew.
            if path.is_file() and ".." not in file.parts and "__pycache__" not in file.parts:
                target = worker / "python_modules" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    assert not wanted, f"not synced: {wanted}"


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")
