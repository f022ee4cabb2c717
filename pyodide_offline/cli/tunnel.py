"""`pyodide-offline tunnel`: ports of this machine that lead to named hosts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import note

_EPILOG = """\b
Examples:
  pyodide-offline tunnel --hosts -- npx wrangler dev
  pyodide-offline tunnel --listen 127.0.0.1:8443 --target example.com:443
  pyodide-offline tunnel --proxy http://proxy.corp:3128 --hosts
\b
Without COMMAND it runs until Ctrl-C (status 130) or SIGTERM (143). SIGUSR1 prints the
statistics. Passwords for --proxy belong into a variable: others see command lines.
"""


@click.command(
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--listen",
    default="127.0.0.1",
    metavar="ADDRESS[:PORT]",
    help="Where to listen.  [default: 127.0.0.1, on each target's port]",
)
@click.option(
    "--target",
    "wanted",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Where it leads, may be repeated.  [default: what the project's workerd wants]",
)
@click.option("--hosts", is_flag=True, help="Name the targets in the hosts file meanwhile.")
@click.option("--public", is_flag=True, help="Allow --listen to name more than loopback.")
@click.option(
    "--idle",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Cut what is quiet for so long.  [default: never]",
)
@click.option("--metrics", is_flag=True, help="Print a line of JSON each 10 s, and at the end.")
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
def tunnel(
    command: tuple[str, ...],
    listen: str,
    wanted: tuple[str, ...],
    hosts: bool,
    public: bool,
    idle: float | None,
    metrics: bool,
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
    """Lead ports of this machine to named hosts, through the proxy; run COMMAND meanwhile.

    For programs that know no proxy. Nothing but the targets can be reached through it. With
    several targets on a port the name in TLS decides.
    """
    from pyodide_offline.features import tunnel as feature
    from pyodide_offline.network import resolvers, targets

    where = options.parsed(targets.listen, listen, "--listen")
    if not where.loopback and not public:
        raise click.UsageError(
            f"--listen {listen} would let others in: say --public too if that is meant."
        )
    resolvers.chosen(resolver)  # said now, and not when the first name is looked up
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        project=project,
        quiet=quiet,
        pac=pac,
        ca=ca,
    )

    def say(sentence: str) -> None:
        if not quiet:
            note(f"tunnel: {sentence}")

    def tell(record: Mapping[str, Any]) -> None:
        click.echo(json.dumps({"tunnel": dict(record)}), err=True)

    return feature.run(
        session,
        command,
        say,
        tell,
        feature.Options(
            listen=where,
            targets=[options.parsed(targets.target, one, "--target") for one in wanted],
            proxies=proxies,
            hosts=hosts,
            idle=idle,
            metrics=metrics,
            wrangler=wrangler,
            naming=targets.Naming(resolver, by_address),
        ),
    )
