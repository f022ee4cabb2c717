"""`pyodide-offline patch`: the cache flags in miniflare itself, where no variable can be set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pyodide_offline.cli import options, render
from pyodide_offline.cli.bars import note
from pyodide_offline.cli.boundary import show
from pyodide_offline.cli.group import Group
from pyodide_offline.features import patch as feature

_EPILOG = """\b
Examples:
  pyodide-offline patch status
  pyodide-offline patch apply ~/my-worker --cache-dir ~/pyodide-cache
  pyodide-offline patch revert
\b
Without a PATH: the miniflares of the project here and above it, of wranglers installed for
the whole user, and of npx's cache. A PATH is a project, a wrangler, a miniflare or a folder
of modules. `run` needs none of this.
"""

_named = click.argument(
    "named", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path)
)
_no_check = click.option(
    "--no-check", is_flag=True, help="Do not have Node parse the changed script first."
)


@click.group(cls=Group, epilog=_EPILOG)
def patch() -> None:
    """Put workerd's cache flags into miniflare, or take them out."""


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    return patch.command()(_named(options.storage(options.loudness(function))))


@_command
@_no_check
def apply(
    named: tuple[Path, ...],
    no_check: bool,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Patch; a file that is patched already stays as it is.

    The exit status is 0 if every file is patched now.
    """
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    outcomes = feature.apply(session, named, check=not no_check)
    code = _tell(outcomes, quiet=quiet, verbose=verbose)
    if code == 0 and not quiet:
        note(feature.advice(session))
    return code


@_command
@_no_check
def revert(
    named: tuple[Path, ...],
    no_check: bool,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Give each file its own text back, byte for byte."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    outcomes = feature.revert(session, named, check=not no_check)
    return _tell(outcomes, quiet=quiet, verbose=verbose)


@_command
@options.as_json
def status(
    named: tuple[Path, ...],
    as_json: bool,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """List what is where: original, patched, half, foreign or unknown."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    found = feature.status(session, named)
    if as_json:
        render.as_json(
            [
                {
                    "path": one.path,
                    "version": one.version,
                    "state": one.finding.state,
                    "cache_dir": one.finding.cache_dir,
                    "reason": one.finding.reason,
                    "seen": one.finding.seen,
                }
                for one in found
            ]
        )
        return
    if not found:
        click.echo("No miniflare was found.")
        return
    render.table(
        ["STATE", "MINIFLARE", "CACHE FOLDER", "FILE"],
        [
            [one.finding.state, one.version, one.finding.cache_dir or "-", str(one.path)]
            for one in found
        ],
    )
    for one in found:
        if one.finding.reason:
            click.echo(f"\n{one.path}: {one.finding.reason}")
            _show_seen(one, everything=verbose, err=False)


@_command
def diff(
    named: tuple[Path, ...],
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,  # noqa: ARG001
) -> None:
    """Print what apply would change, or has changed."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    shown = feature.diff(session, named)
    for text in shown:
        click.echo(text, nl=False)
    if not shown and not quiet:
        note("There is nothing to show; why, says: pyodide-offline patch status")


def _tell(outcomes: list[feature.Outcome], *, quiet: bool, verbose: bool) -> int:
    code = 0
    for one in outcomes:
        if one.error is None:
            if not quiet:
                click.echo(f"{one.status.path} (miniflare {one.status.version}): {one.did}")
            continue
        show(one.error)
        _show_seen(one.status, everything=verbose, err=True)
        code = code or one.error.exit_status
    return code


def _show_seen(one: feature.Status, *, everything: bool, err: bool) -> None:
    seen = one.finding.seen
    for line in seen if everything else seen[:3]:
        click.echo(f"    {line}", err=err)
