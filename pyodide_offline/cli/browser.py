"""`pyodide-offline browser`: folders with Pyodide for a browser that reaches nothing else."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import options, render
from pyodide_offline.cli.bars import megabytes, note
from pyodide_offline.cli.group import Group

if TYPE_CHECKING:
    from pyodide_offline.features.browser.build import Plan

_EPILOG = """\b
Examples:
  pyodide-offline browser build --app datasette --db data.db -o site
  pyodide-offline browser build fastapi --app main.py:app -o site
  pyodide-offline browser build -o site -- 'pydantic>=2' pylock.toml
  pyodide-offline browser serve site
  pyodide-offline browser verify --chromium site
  pyodide-offline browser rewrite page.html --folder site
"""
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group, epilog=_EPILOG)
def browser() -> None:
    """Make, serve and verify Pyodide in a folder, for a browser."""


@browser.command()
@click.argument("spec", nargs=-1)
@click.option("-o", "--output", type=_FOLDER, required=True, metavar="DIR", help="The folder.")
@click.option(
    "--app",
    "app_name",
    metavar="APP",
    help="datasette (or datasette==VERSION), FILE.py[:NAME] or MODULE:NAME of an ASGI app.",
)
@click.option(
    "--db",
    "data",
    multiple=True,
    type=_FILE,
    help="With datasette: a SQLite or CSV file, may be repeated.",
)
@click.option(
    "--include",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="With an ASGI app: another file or folder that it imports or reads.",
)
@click.option("--pyodide", metavar="VERSION", help="Which Pyodide of npm.  [default: 314.0.7]")
@click.option(
    "--full-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Pyodide's full folder, for what no index has; each file is verified.",
)
@click.option("--exclude", multiple=True, metavar="NAME", help="Leave a package out.")
@click.option("--title", default="", help="The page's title.")
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Byte code in place of source: starts faster, shows no source lines in errors.",
)
@click.option(
    "--wheel-suffix",
    "suffix",
    type=click.Choice([".whl", ".zip"]),
    default=".whl",
    show_default=True,
    help="Name wheels so, for firewalls that block them.",
)
@click.option("--micropip", is_flag=True, help="With micropip, and an index of the folder for it.")
@click.option(
    "--compress/--no-compress",
    "compressed",
    default=True,
    help="Brotli copies for servers that send them.  [default: on]",
)
@click.option("--allow-remote", is_flag=True, help="Let the page fetch ?url=… of other hosts.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="The page gives up after so long without progress.",
)
@click.option(
    "--offline",
    is_flag=True,
    envvar="PYODIDE_OFFLINE_OFFLINE",
    help="Make no request: use what is in the store.",
)
@options.reaching
@options.as_json
@options.quietness
def build(
    spec: tuple[str, ...],
    output: Path,
    app_name: str | None,
    data: tuple[Path, ...],
    include: tuple[Path, ...],
    pyodide: str | None,
    full_dir: Path | None,
    exclude: tuple[str, ...],
    title: str,
    compiled: bool,
    suffix: str,
    micropip: bool,
    compressed: bool,
    allow_remote: bool,
    limit: int,
    offline: bool,
    reach: options.Reach,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a folder with Pyodide, packages and a page that need no other host.

    SPEC: package names, requirements files or a pylock.toml. Any static server can serve
    the folder, below any path.
    """
    from pyodide_offline.features.browser import apps
    from pyodide_offline.features.browser import build as feature

    if not (spec or app_name or micropip):
        raise click.UsageError("Name packages, a requirements file or --app.")
    if (data or include) and not app_name:
        raise click.UsageError("--db and --include go with --app.")
    session = reach.session(
        offline=offline,
        quiet=quiet,
        plain=as_json,
    )
    feature.refuse_foreign(output.absolute())  # before anything is fetched for it
    chosen = feature.Options(
        app=apps.read(app_name, data=data, include=include) if app_name else None,
        pyodide=pyodide or feature.PYODIDE,
        full_dir=full_dir,
        exclude=exclude,
        title=title,
        suffix=suffix,
        compiled=compiled,
        compressed=compressed,
        micropip=micropip,
        allow_remote=allow_remote,
        limit=limit,
    )
    planned = feature.plan(session, spec, chosen)
    if not (as_json or quiet):
        _show(planned)
    made = feature.make(session, planned, output.absolute(), chosen)
    if as_json:
        render.as_json(
            {
                "folder": made.root,
                "pyodide": chosen.pyodide,
                "python": planned.lock.target.python,
                "packages": [_record(item) for item in _items(planned)],
                "files": len(made.files),
                "size": sum(one.size for one in made.files.values()),
            }
        )
    elif not quiet:
        size = megabytes(sum(one.size for one in made.files.values()))
        click.echo(f"{output}: {len(made.files)} files, {size}")
        click.echo(f"See it: pyodide-offline browser serve {shlex.quote(str(output))}")


@browser.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes any.",
)
@click.option("--prefix", default="/", metavar="PATH", help="Serve it below this path.")
@options.quietness
def serve(folder: Path, port: int, prefix: str, quiet: bool) -> None:
    """Serve a folder on 127.0.0.1 until Ctrl-C.

    With a strict Content-Security-Policy; what has its digest in the address is cached.
    """
    import threading

    from pyodide_offline.features.browser import folder as folders
    from pyodide_offline.features.browser import serve as feature

    below = f"/{prefix.strip('/')}/".replace("//", "/")
    with feature.started(folders.read(folder), port=port, prefix=below) as url:
        if not quiet:
            note(f"{folder} is at {url} until Ctrl-C")
        threading.Event().wait()


@browser.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--chromium", is_flag=True, help="In a real browser too, all names unresolvable.")
@options.storage
@options.as_json
@options.quietness
def verify(
    folder: Path,
    chromium: bool,
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare every file, and run the folder under Node with requests forbidden.

    Exit status 1 if a file is missing or altered, if it does not run, or if it asked for
    anything outside of the folder.
    """
    from pyodide_offline.features.browser import verify as feature

    session = options.session(cache_dir=cache_dir, store_dir=store_dir, quiet=quiet, plain=as_json)
    report = feature.verify(session, folder, browser=chromium)
    if as_json:
        render.as_json(dataclasses.asdict(report))
        return 0 if report.well else 1
    for fault in report.faults:
        click.echo(f"{fault.name} is {fault.reason}")
    for run in report.runs:
        for address in run.left:
            click.echo(f"{run.where}: a request left the folder: {address}")
        if run.fault:
            click.echo(f"{run.where}: {run.fault}")
    if report.runs and not quiet:
        render.table(
            ["WHERE", "SECONDS", "REQUESTS", "SIZE", ""],
            [
                [
                    run.where,
                    f"{run.seconds:.1f}",
                    str(run.requests),
                    megabytes(run.size),
                    "well" if run.well else "NOT WELL",
                ]
                for run in report.runs
            ],
            right=[1, 2, 3],
        )
    if not quiet:
        click.echo(
            f"{report.files} files, {megabytes(report.size)}, {len(report.faults)} not as built"
        )
    return 0 if report.well else 1


@browser.command()
@click.argument("page", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="What browser build made.",
)
@click.option("--at", metavar="URL", help="Where pages find it.  [default: the relative way]")
@click.option("-n", "--dry-run", is_flag=True, help="Show it, and change nothing.")
@options.as_json
@options.quietness
def rewrite(
    page: Path, folder: Path, at: str | None, dry_run: bool, as_json: bool, quiet: bool
) -> int:
    """Point a page, or all pages of a folder, at DIR and not at a CDN.

    The first state of a changed file is kept as FILE.orig. Exit status 1 if something
    would still be asked of another host.
    """
    from pyodide_offline.features.browser import rewrite as feature

    below = f"{at.rstrip('/')}/" if at else None
    found = feature.rewrite(page, feature.known(folder), at=below, dry_run=dry_run)
    changes = [change for one in found for change in one.changes]
    left = [rest for one in found for rest in one.left]
    if as_json:
        render.as_json({"changes": [vars(one) for one in changes], "left": [vars(o) for o in left]})
        return 1 if left else 0
    for change in changes if not quiet else ():
        click.echo(f"{change.file}:{change.line}\n  - {change.before}\n  + {change.after}")
    for rest in left:
        click.echo(f"{rest.file}:{rest.line} still asks for {rest.what}: {rest.why}")
    if not quiet:
        done = "would be changed" if dry_run else "changed"
        files = len({one.file for one in changes})
        click.echo(f"{len(changes)} addresses {done} in {files} files, {len(left)} left")
    return 1 if left else 0


def _items(planned: "Plan") -> list[tuple[str, str, str, str, int]]:
    words = {
        "pure": "pure, from the index",
        "wasm": "wasm, from the index",
        "fallback": "pure fallback, made here",
        "full": "only in the full folder",
    }
    return [
        (one.package.name, one.package.version, one.kind, words[one.kind], one.size)
        for one in planned.items
    ]


def _record(item: tuple[str, str, str, str, int]) -> dict[str, object]:
    name, version, kind, _, size = item
    return {"name": name, "version": version, "kind": kind, "size": size}


def _show(planned: "Plan") -> None:
    render.table(
        ["PACKAGE", "VERSION", "KIND", "SIZE"],
        [
            [name, version, words, megabytes(size) if size else "-"]
            for name, version, _, words, size in _items(planned)
        ],
        right=[3],
    )
