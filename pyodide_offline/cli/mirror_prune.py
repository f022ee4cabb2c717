"""`pyodide-offline mirror prune`: what nobody needs any more goes out of a mirror's store."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import mirror_content, mirror_serve, mirror_trust, render
from pyodide_offline.cli.bars import megabytes

if TYPE_CHECKING:
    from pyodide_offline.cli.mirror_content import Place

_EPILOG = """\b
Examples, once a day:
  pyodide-offline mirror prune
  pyodide-offline mirror prune --store s3://bucket/mirror --days 7
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="How long a thing was seen without a name.",
)
@click.option("--dry-run", is_flag=True, help="Remove and note nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@mirror_content.placing
def prune(
    days: float,
    dry_run: bool,
    as_json: bool,
    place: "Place",
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Remove contents that no name stands for, such as old indexes', and old leases.

    A run notes what it sees; a later one removes what was noted so long ago. Fronts may go on.
    """
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import oversight

    session = mirror_content.session_of(cache_dir, store_dir, quiet, verbose)
    found = oversight.prune(mirror_trust.office_of(session, place), days, dry=dry_run)
    if as_json:
        render.as_json(dataclasses.asdict(found))
    elif not quiet:
        word = "would go" if dry_run else "removed"
        click.echo(
            f"{word}: {found.contents} contents ({megabytes(found.size)}), "
            f"{found.leftovers} leases and pieces; {found.waiting} more wait for their day",
            err=True,
        )
