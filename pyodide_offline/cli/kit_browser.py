"""`pyodide-offline kit browser`: a folder of `browser build` out of a kit."""

import shlex
from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note
from pyodide_offline.cli.kit_taking import placed, trusting
from pyodide_offline.kits.trust import Terms

_EPILOG = """\b
Examples:
  pyodide-offline kit browser worker.kit --key kit.key.pub -o site
  pyodide-offline browser serve site
"""


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to make.",
)
@click.option("--folder", "name", metavar="NAME", help="Which one, where the kit has several.")
@trusting
@options.storage
@options.quietness
def browser(
    files: tuple[Path, ...],
    output: Path,
    name: str | None,
    terms: Terms,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
) -> None:
    """Give back a folder that was packed with --browser, byte for byte.

    FILE is a kit, or its volumes; it is verified and unpacked first. Without FILE the kit
    that was unpacked last is taken.
    """
    from pyodide_offline.features.kit import filling, trees

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet)
    if files:
        placed(files, terms, session.store.root, session.progress)
    contents = filling.unpacked(session)
    found = trees.give_back(contents.items, contents.places, name, output.absolute())
    if not quiet:
        note(
            f"{output}: {found}, as it was packed. Show it: "
            f"pyodide-offline browser serve {shlex.quote(str(output))}"
        )
