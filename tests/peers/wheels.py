"""Wheels to order, and a pip that finds nothing but them."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel; without ``files`` it has one module of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tag}.whl"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    contents = dict(files if files is not None else {f"{name.replace('-', '_')}.py": "x = 1\n"})
    contents[f"{stem}.dist-info/METADATA"] = "\n".join([*metadata, ""])
    contents[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nTag: {tag}\n"
    contents[f"{stem}.dist-info/RECORD"] = ""
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in contents.items():
            archive.writestr(one, text)
    return path


def only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pip look into this folder and nowhere else."""
    for variable in [one for one in os.environ if one.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
