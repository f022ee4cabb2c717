"""`pyodide-offline exec`: a command that can reach its targets and nothing else."""

from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note

_EPILOG = """\b
Examples:
  pyodide-offline exec -- npx wrangler dev
  pyodide-offline exec --target example.com -- curl https://example.com/
  pyodide-offline exec --publish 8080:8787 -- npx wrangler dev
\b
The exit status is that of the command. Passwords for --proxy belong into a variable: others
see command lines.
"""


@click.command(
    "exec",
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--target",
    "wanted",
    multiple=True,
    metavar="HOST[:PORT]",
    help="What it can reach, may be repeated.  [default: what the project's workerd wants]",
)
@click.option(
    "--publish",
    "ports",
    multiple=True,
    metavar="[HERE:]PORT",
    help="Lead to this port of it only, may be repeated.  [default: all that it listens on]",
)
@click.option("--no-publish", "closed", is_flag=True, help="Lead to none of its ports.")
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The worker's folder.  [default: here]",
)
@click.option("--wrangler", metavar="VERSION", envvar="PYODIDE_OFFLINE_WRANGLER", help="As in run.")
@options.proxying
@options.naming
@options.trusting
@options.storage
@options.quietness
def confined(
    command: tuple[str, ...],
    wanted: tuple[str, ...],
    ports: tuple[str, ...],
    closed: bool,
    project: Path | None,
    wrangler: str | None,
    proxies: tuple[str, ...],
    pac: str | None,
    by_address: bool,
    resolver: tuple[str, ...],
    cache_dir: Path | None,
    store_dir: Path | None,
    ca: tuple[Path, ...],
    quiet: bool,
) -> int:
    """Run COMMAND in a network of its own that leads to named hosts, through the proxy.

    For programs that know no proxy, without root and without a change to the hosts file.
    Nothing but the targets can be reached from there. The ports that it listens on are
    published on this machine's loopback. Linux only.
    """
    from pyodide_offline.features import confine as feature
    from pyodide_offline.network import resolvers, targets

    if ports and closed:
        raise click.UsageError("--publish and --no-publish contradict each other.")
    resolvers.chosen(resolver)  # said now, and not when the first name is looked up
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        project=project,
        quiet=quiet,
        pac=pac,
        ca=ca,
    )

    named = [options.parsed(targets.port, one, "--publish") for one in ports]

    def say(sentence: str) -> None:
        if not quiet:
            note(f"exec: {sentence}")

    return feature.run(
        session,
        command,
        say,
        feature.Options(
            targets=[options.parsed(targets.target, one, "--target") for one in wanted],
            proxies=proxies,
            published=named if named or closed else None,
            wrangler=wrangler,
            naming=targets.Naming(resolver, by_address),
        ),
    )
