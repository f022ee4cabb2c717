"""`pyodide-offline prefetch`: fill the store."""

from pathlib import Path

import click

from pyodide_offline.cli import options, render
from pyodide_offline.cli.bars import megabytes

_EPILOG = """\b
Examples:
  pyodide-offline prefetch                  # what the project here needs
  pyodide-offline prefetch path/to/project
  pyodide-offline prefetch --workerd ./workerd --date 2025-11-02
  pyodide-offline prefetch --from ~/Downloads   # official bundles that you have
"""


@click.command(epilog=_EPILOG)
@click.argument(
    "project", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--workerd",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Only the bundle of this workerd binary; needs no project.",
)
@click.option("--date", metavar="DATE", help="With --workerd: the worker's compatibility date.")
@click.option("--flag", "flags", multiple=True, help="With --workerd: a compatibility flag.")
@click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The wrangler configuration, if it has another name.",
)
@click.option("-e", "--env", "environment", help="The environment in it.")
@click.option("--all", "everything", is_flag=True, help="Each bundle that workerd knows.")
@click.option(
    "--from",
    "source",
    metavar="FILE|DIR|URL",
    help="Take official bundles from here; each is verified.",
)
@options.supplying
@options.mirroring
@options.reaching
@options.as_json
@options.loudness
def prefetch(
    project: Path | None,
    workerd: Path | None,
    date: str | None,
    flags: tuple[str, ...],
    config: Path | None,
    environment: str | None,
    everything: bool,
    source: str | None,
    offline: bool,
    bundle: str,
    python: str | None,
    wrangler: str | None,
    reach: options.Reach,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Fetch all that a worker needs, once: afterwards `run --offline` works.

    A second call makes no request.
    """
    from pyodide_offline.features import prefetch as feature

    if (date or flags) and not workerd:
        raise click.UsageError("--date and --flag go with --workerd.")
    session = reach.session(
        project=project,
        offline=offline,
        quiet=quiet,
        plain=as_json,
        verbose=verbose,
    )
    more = feature.More(everything, source, python)
    if workerd:
        report = feature.for_binary(
            session,
            workerd.expanduser().absolute(),
            date=date,
            flags=flags,
            policy=bundle,
            more=more,
        )
    else:
        report = feature.for_project(
            session,
            config=config,
            environment=environment,
            policy=bundle,
            wrangler=wrangler,
            more=more,
        )
    if as_json:
        items = [vars(item) for item in report.items]
        render.as_json(
            {
                "items": items,
                "cache_dir": report.folder,
                "fetched": report.fetched,
                "missing": report.missing,
            }
        )
    elif not quiet:
        render.table(
            ["WHAT", "VERSION", "FROM", "SIZE", ""],
            [
                [
                    item.what,
                    item.version,
                    item.origin,
                    megabytes(item.size) if item.size is not None else "-",
                    "fetched now" if item.fetched else "was there",
                ]
                for item in report.items
            ],
            right=[3],
        )
        for item in report.items if verbose else ():
            click.echo(f"{item.what}: {item.path}")
        click.echo(f"workerd reads its bundle from {report.folder}")
    for reason in report.missing:
        click.echo(f"Not to be had: {reason}", err=True)
    return 1 if report.missing else 0
