"""`pyodide-offline kit run`: a command from the kit that was unpacked."""

from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note

_EPILOG = """\b
Examples:
  pyodide-offline kit run -- pywrangler dev
  python3 kit.pyz run worker.kit -- pywrangler dev     # where only Python is
"""


@click.command(epilog=_EPILOG, context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The worker's folder.  [default: here]",
)
@options.storage
@options.loudness
def run(
    command: tuple[str, ...],
    project: Path | None,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run COMMAND with all that the unpacked kit brings, and no network.

    What is to be installed (npm ci, npx wrangler, packages) comes from the kit, by a
    registry and an index on this machine's loopback.
    """
    import dataclasses

    from pyodide_offline.features import run as running
    from pyodide_offline.features.kit import filling

    session = options.session(
        cache_dir=cache_dir, store_dir=store_dir, project=project, quiet=quiet, verbose=verbose
    )
    said: set[str] = set()

    def say(sentence: str) -> None:
        if not quiet and sentence not in said:
            said.add(sentence)
            note(sentence)

    contents = filling.unpacked(session)
    with filling.serving(session, contents) as served:
        inside = filling.session_for(session, served)
        version = filling.fill(inside, contents)
        alone = dataclasses.replace(inside, offline=True)
        return running.run(alone, command, say, wrangler=version, fetch=False, verbose=verbose)
