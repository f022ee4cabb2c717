"""`pyodide-offline kit run`: a command from a kit, or from the one that was unpacked."""

from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note
from pyodide_offline.cli.kit_taking import placed, trusting
from pyodide_offline.kits.trust import Terms

_EPILOG = """\b
Examples:
  pyodide-offline kit run worker.kit --key kit.key.pub -- pywrangler dev
  pyodide-offline kit run -- pywrangler dev            # from what was unpacked last
  python3 kit.pyz run worker.kit -- pywrangler dev     # where only Python is
"""


_WORDS = "pyodide-offline.words"


class _Run(click.Command):
    """Takes files before the first ``--`` and the command after it.

    Without ``--`` all that follows the options is the command. By itself click drops that
    mark, and the files could not be told from the command's words.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_WORDS] = tuple(args[place + 1 :])
            args = args[:place]
        else:
            ctx.allow_interspersed_args = False
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, _ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "[FILE...]", "--", "COMMAND..."]


@click.command(cls=_Run, epilog=_EPILOG)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The worker's folder.  [default: here]",
)
@trusting
@options.storage
@options.loudness
@click.pass_context
def run(
    context: click.Context,
    words: tuple[str, ...],
    terms: Terms,
    project: Path | None,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run COMMAND with all that a kit brings, and no network.

    FILE is a kit, or its volumes; it is verified and unpacked first. Without FILE the kit
    that was unpacked last is taken.

    What is to be installed (npm ci, npx wrangler, packages) comes from the kit, by a
    registry and an index on this machine's loopback.
    """
    import dataclasses

    from pyodide_offline.features import run as running
    from pyodide_offline.features.kit import filling

    files, command = _parted(context, words)
    session = options.session(
        cache_dir=cache_dir, store_dir=store_dir, project=project, quiet=quiet, verbose=verbose
    )
    said: set[str] = set()

    def say(sentence: str) -> None:
        if not quiet and sentence not in said:
            said.add(sentence)
            note(sentence)

    if files:
        placed(files, terms, session.store.root, session.progress)
    contents = filling.unpacked(session)
    with filling.serving(session, contents) as served:
        inside = filling.session_for(session, served)
        version = filling.fill(inside, contents)
        alone = dataclasses.replace(inside, offline=True)
        return running.run(alone, command, say, wrangler=version, fetch=False, verbose=verbose)


def _parted(
    context: click.Context, words: tuple[str, ...]
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the kit's files and the command. Raises click's error where there is none."""
    command: tuple[str, ...] = context.meta.get(_WORDS, words)
    if not command:
        raise click.UsageError("Missing argument 'COMMAND...', after --.", context)
    return tuple(map(Path, words)) if _WORDS in context.meta else (), command
