"""`pyodide-offline toolchain`: which programs are used, and from where."""

from pathlib import Path

import click

from pyodide_offline.cli import options

_EPILOG = """\b
Examples:
  pyodide-offline toolchain list
  pyodide-offline toolchain install
  export PATH="$(pyodide-offline toolchain path):$PATH"
"""


@click.group(epilog=_EPILOG)
def toolchain() -> None:
    """Show or install Node, wrangler, uv and pywrangler."""


@toolchain.command("list")
@options.storage
@options.as_json
@options.loudness
def list_(
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001
) -> int:
    """List the programs that `run` would use here; makes no request.

    Exit status 1 if something would have to be brought first.
    """
    from pyodide_offline.workers.toolchain import tools

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    found = tools.find(session, pywrangler=True)
    _show(found, as_json=as_json)
    return 0 if found else 1


@toolchain.command()
@options.supplying
@options.storage
@options.as_json
@options.loudness
def install(
    offline: bool,
    bundle: str,  # noqa: ARG001
    wrangler: str | None,
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001
) -> None:
    """Bring what is missing from the registries into the store."""
    from pyodide_offline.workers.toolchain import tools

    session = options.session(
        cache_dir=cache_dir, store_dir=store_dir, offline=offline, quiet=quiet, plain=as_json
    )
    _show(tools.provide(session, pywrangler=True, version=wrangler), as_json=as_json)


@toolchain.command()
@options.storage
def path(cache_dir: Path | None, store_dir: Path | None) -> int:
    """Print the folders of the managed programs, as PATH has them."""
    from pyodide_offline.workers.toolchain import tools

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=True)
    found = tools.find(session, pywrangler=True)
    if found is None:
        click.echo("Nothing is there yet; type: pyodide-offline toolchain install", err=True)
        return 1
    click.echo(":".join(str(folder) for folder in found.folders()))
    return 0
