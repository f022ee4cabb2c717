"""An index for micropip in the folder: static pages as PEP 503 has them.

JSON (PEP 691) would not do: micropip does not resolve the relative addresses in it.
"""

import html
from pathlib import Path

from pyodide_offline import digest
from pyodide_offline.distribution import wheels

INDEX = "simple/"


def write_index(root: Path, packages: Path) -> str:
    """Write a page and a metadata file (PEP 658) for each wheel; return where they are."""
    by_name: dict[str, list[str]] = {}
    for path in sorted(packages.glob("*.whl")):
        wheel = wheels.read(path)
        said = wheels.metadata(path)
        path.with_name(path.name + ".metadata").write_bytes(said)
        address = f"../../{packages.relative_to(root).as_posix()}/{path.name}"
        core = f"sha256={digest.of_bytes(said).hex}"
        by_name.setdefault(wheel.name, []).append(
            f'<a href="{html.escape(address)}#sha256={wheel.sha256}" '
            f'data-core-metadata="{core}">{html.escape(path.name)}</a><br>'
        )
    for name, links in by_name.items():
        page = root / INDEX / name / "index.html"
        page.parent.mkdir(parents=True)
        body = "\n".join(links)
        page.write_text(f"<!doctype html>\n<title>{name}</title>\n{body}\n", encoding="utf-8")
    return INDEX
