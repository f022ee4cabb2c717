"""`pyodide-offline toolchain`: which programs are used, and from where."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import options, render
from pyodide_offline.cli.bars import megabytes
from pyodide_offline.cli.group import Group
from pyodide_offline.session import Session

if TYPE_CHECKING:
    from pyodide_offline.workers.toolchain.chain import Toolchain

_EPILOG = """\b
Examples:
  pyodide-offline toolchain list
  pyodide-offline toolchain install
  export PATH="$(pyodide-offline toolchain path):$PATH"
"""


@click.group(cls=Group, epilog=_EPILOG)
def toolchain() -> None:
    """Show or install Node, wrangler, uv and pywrangler."""


@toolchain.command("list")
@options.storage
@options.as_json
@options.quietness
def list_(
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """List the programs that `run` would use here; makes no request.

    Exit status 1 if something would have to be brought first.
    """
    from pyodide_offline.workers.toolchain import chain

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    found = chain.find(session, pywrangler=True)
    if found is None:
        if as_json:
            render.as_json([])
        return _nothing()
    _show(session, found, as_json=as_json)
    return 0


@toolchain.command()
@options.bringing
@options.reaching
@options.as_json
@options.quietness
def install(
    offline: bool,
    wrangler: str | None,
    reach: options.Reach,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring what is missing from the registries into the store."""
    from pyodide_offline.workers.toolchain import chain

    session = reach.session(
        offline=offline,
        quiet=quiet,
        plain=as_json,
    )
    found = chain.get(session, pywrangler=True, version=wrangler)
    _show(session, found, as_json=as_json)


@toolchain.command()
@options.storage
def path(cache_dir: Path | None, store_dir: Path | None) -> int:
    """Print the folders of the managed programs, as PATH has them."""
    from pyodide_offline.workers.toolchain import chain, listing

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=True)
    found = chain.find(session, pywrangler=True)
    if found is None:
        return _nothing()
    click.echo(os.pathsep.join(str(folder) for folder in listing.folders(found)))
    return 0


def _nothing() -> int:
    click.echo("Something is missing here; type: pyodide-offline toolchain install", err=True)
    return 1


def _show(session: Session, found: "Toolchain", *, as_json: bool) -> None:
    from pyodide_offline.workers.toolchain import listing

    programs = listing.listed(session, found)
    if as_json:
        names = [(one.what, one.version, one.path, one.entry is not None) for one in programs]
        keys = ("what", "version", "path", "managed")
        render.as_json([dict(zip(keys, name, strict=True)) for name in names])
        return
    render.table(
        ["WHAT", "VERSION", "SIZE", "WHERE"],
        [
            [one.what, one.version, megabytes(one.entry.size) if one.entry else "-", str(one.path)]
            for one in programs
        ],
        right=[2],
    )
