"""`pyodide-offline env`: what `run` would set, for a shell, a CI job or an editor."""

import os
from pathlib import Path

import click

from pyodide_offline.cli import options, shells
from pyodide_offline.cli.bars import note

_EPILOG = """\b
Examples:
  eval "$(pyodide-offline env)"; npx wrangler dev
  pyodide-offline env --shell fish | source
  pyodide-offline env --shell github >> "$GITHUB_ENV"
  pyodide-offline env --shell dotenv > .env.workers
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--shell",
    type=click.Choice(shells.SHELLS),
    default="sh",
    show_default=True,
    help="Who is to read the lines.",
)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The worker's folder.  [default: here]",
)
@options.supplying
@options.mirroring
@options.reaching
@options.quietness
def env(
    shell: str,
    project: Path | None,
    offline: bool,
    bundle: str,
    python: str | None,
    wrangler: str | None,
    reach: options.Reach,
    quiet: bool,
) -> int:
    """Print the variables that `run` would set.

    Brings what is missing, as `run` does. Every command that sees the variables starts
    workerd with its bundle, without `run`. Only what differs from the environment here is
    printed, and no passwords.
    """
    from pyodide_offline.features import variables as feature

    session = reach.session(
        project=project,
        offline=offline,
        quiet=quiet,
    )

    def say(sentence: str) -> None:
        if not quiet:
            note(sentence)

    found = feature.variables(
        session, os.environ, say, policy=bundle, wrangler=wrangler, python=python
    )
    told, unfit = shells.lines(found.values, shell)
    for line in told:
        click.echo(line)
    for name in found.kept_back:
        click.echo(f"{name} holds a password and is not printed: set it as a secret.", err=True)
    for name in unfit:
        click.echo(f"{name} cannot be written for {shell}: set it otherwise.", err=True)
    return 1 if found.kept_back or unfit else 0
