"""`pyodide-offline cache`: look into the store and keep it in order."""

import dataclasses
from pathlib import Path

import click

from pyodide_offline.cli import options, render
from pyodide_offline.cli.bars import megabytes
from pyodide_offline.cli.group import Group
from pyodide_offline.features import inventory
from pyodide_offline.store import Entry

_EPILOG = """\b
Examples:
  pyodide-offline cache list -v         # with where everything came from
  pyodide-offline cache verify --repair
  pyodide-offline cache prune --all
  rm -rf "$(pyodide-offline cache path)"
"""


@click.group(cls=Group, epilog=_EPILOG)
def cache() -> None:
    """List, verify and prune what is stored."""


@cache.command("list")
@options.storage
@options.as_json
@options.loudness
def list_(
    cache_dir: Path | None, store_dir: Path | None, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """List what is in the store; -v says where each thing came from."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    entries = inventory.listed(session)
    if as_json:
        render.as_json([_record(entry) for entry in entries])
        return
    render.table(
        ["KIND", "NAME", "SIZE", "DIGEST"],
        [[one.kind, one.name, megabytes(one.size), one.digest.short] for one in entries],
        right=[2],
    )
    if verbose:
        for entry in entries:
            click.echo(f"\n{entry.kind} {entry.name}  {entry.digest}")
            for line in _provenance(entry.provenance):
                click.echo(f"  {line}")
    click.echo(
        f"{len(entries)} entries, {megabytes(inventory.size(entries))}, {session.store.root}"
    )
    for folder, taken in inventory.working_folders(session).items():
        click.echo(f"and {megabytes(taken)} in {folder}")


@cache.command()
@click.option("--repair", is_flag=True, help="Remove what is damaged; the next start brings it.")
@options.storage
@options.as_json
@options.loudness
def verify(
    repair: bool,
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Read everything again and compare digests. Exit status 1 if something is damaged."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    entries = inventory.listed(session)
    count = len(entries)
    faults = inventory.verify(session, repair=repair)
    if as_json:
        render.as_json({"checked": count, "faults": [dataclasses.asdict(one) for one in faults]})
    else:
        damaged = {fault.path for fault in faults}
        for entry in entries if verbose else ():
            if entry.path not in damaged:
                click.echo(f"well: {entry.kind} {entry.name}")
        for fault in faults:
            done = " (removed)" if fault.mended else ""
            click.echo(f"damaged: {fault.what}: {fault.reason}{done}")
        if not quiet:
            click.echo(f"{count} entries checked, {len(faults)} damaged")
        if faults and not repair:
            click.echo("Mend it with: pyodide-offline cache verify --repair")
    return 1 if faults and not repair else 0


@cache.command()
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="Remove what was not used for so long.",
)
@options.storage
@options.as_json
@options.loudness
def prune(
    everything: bool,
    days: int,
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Remove leftovers and what was not used for some time."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    pruned = inventory.prune(session, everything=everything, older_than_days=days)
    if as_json:
        removed = [_record(entry) for entry in pruned.entries]
        render.as_json({"removed": removed, "freed": pruned.freed})
        return
    if verbose:
        for entry in pruned.entries:
            click.echo(f"removed {entry.kind} {entry.name}")
    if not quiet:
        click.echo(f"{len(pruned.entries)} entries removed, {megabytes(pruned.freed)} freed")


@cache.command()
@options.storage
@click.option("--bundles", is_flag=True, help="The folder that workerd reads instead.")
def path(cache_dir: Path | None, store_dir: Path | None, bundles: bool) -> None:
    """Print the store's folder."""
    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=True)
    click.echo(session.cache_dir if bundles else session.store.root)


def _record(entry: Entry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "size": entry.size,
        "digest": str(entry.digest),
        "path": entry.path,
        "provenance": dict(entry.provenance),
    }


def _provenance(value: object, prefix: str = "") -> list[str]:
    if isinstance(value, dict):
        return [
            line for name, part in value.items() for line in _provenance(part, f"{prefix}{name}.")
        ]
    return [f"{prefix.rstrip('.')}: {value}"]
