"""`pyodide-offline run`: all of it for one command."""

from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note

_EPILOG = """\b
Examples:
  pyodide-offline run -- pywrangler dev
  pyodide-offline run -- npx wrangler dev --port 8788
  pyodide-offline run --offline -- npm run dev
\b
The exit status is that of the command; see the README for those of pyodide-offline itself.
"""


@click.command(
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The worker's folder.  [default: here]",
)
@click.option(
    "--snapshot/--no-snapshot",
    "snapshots",
    default=True,
    envvar="PYODIDE_OFFLINE_SNAPSHOT",
    help="Start Python from a memory snapshot where one fits.  [default: on]",
)
@click.option(
    "--fetch/--no-fetch",
    default=True,
    envvar="PYODIDE_OFFLINE_FETCH",
    help="Lead the worker's fetch() through the proxy that is named.  [default: on]",
)
@options.supplying
@options.mirroring
@options.reaching
@options.loudness
def run(
    command: tuple[str, ...],
    project: Path | None,
    snapshots: bool,
    fetch: bool,
    offline: bool,
    bundle: str,
    python: str | None,
    wrangler: str | None,
    reach: options.Reach,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run COMMAND with all that a Python worker needs.

    Brings what is missing (Node, wrangler, uv, pywrangler, packages, the Pyodide bundle)
    from the registries or the store, and gives workerd its bundle. Nothing global is
    changed, and nothing is left running.
    """
    from pyodide_offline.features import run as feature

    session = reach.session(
        project=project,
        offline=offline,
        quiet=quiet,
        verbose=verbose,
    )
    said: set[str] = set()

    def say(sentence: str) -> None:
        if not quiet and sentence not in said:
            said.add(sentence)
            note(sentence)

    return feature.run(
        session,
        command,
        say,
        complain=note,
        policy=bundle,
        wrangler=wrangler,
        snapshots=snapshots,
        fetch=fetch,
        python=python,
        verbose=verbose,
    )
