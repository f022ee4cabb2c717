"""`pyodide-offline mirror token|accept|audit`: who may use a mirror, and what it may believe."""

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import mirror_content, mirror_serve, render
from pyodide_offline.cli.bars import megabytes
from pyodide_offline.cli.group import Group
from pyodide_offline.progress import working

if TYPE_CHECKING:
    from pyodide_offline.cli.mirror_content import Place
    from pyodide_offline.features.mirror.oversight import Office
    from pyodide_offline.session import Session

_OF_TOKENS = """\b
Examples:
  pyodide-offline mirror token add ci
  pyodide-offline mirror token add prometheus --role admin --days 365
  pyodide-offline mirror token revoke ci
"""
_ACCEPT = """\b
Examples:
  pyodide-offline mirror accept npm left-pad 1.3.0
  pyodide-offline mirror accept npm @scope/name 2.0.0 --digest sha512-…
"""
_AUDIT = """\b
Examples:
  pyodide-offline mirror audit
  pyodide-offline mirror audit --store s3://bucket/mirror --trust-key front.pub
"""
_FILE = click.option(
    "--tokens",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where they are.  [default: in your configuration]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=Group, epilog=_OF_TOKENS)
def token() -> None:
    """Say who may use a mirror: tokens, of which only digests are kept."""
    mirror_serve.require_extra()


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["read", "admin"]),
    default="read",
    show_default=True,
    help="admin may also see the status page and the metrics.",
)
@click.option(
    "--days", type=click.FloatRange(min=0), default=0, help="Ends after so many days.  [never]"
)
@_FILE
def add(name: str, role: str, days: float, file: Path | None) -> None:
    """Make a token and print it, this once."""
    from pyodide_offline.features.mirror import tokens

    made = tokens.add(file or tokens.file(os.environ), name, role, days=days)
    click.echo(made)
    click.echo("It is shown this once: keep it where secrets are kept.", err=True)


@token.command("list")
@_FILE
@_JSON
def list_(file: Path | None, as_json: bool) -> None:
    """List names and roles; no secret is kept that could be shown."""
    from pyodide_offline.features.mirror import tokens

    found = list(tokens.load(file or tokens.file(os.environ)).tokens.values())
    if as_json:
        kept = ("id", "name", "role", "created", "expires")
        render.as_json([{name: getattr(one, name) for name in kept} for one in found])
        return
    render.table(
        ["NAME", "ROLE", "ID", "CREATED", "EXPIRES"],
        [
            [one.name, one.role, one.id, _day(one.created), _day(one.expires) or "never"]
            for one in found
        ],
    )


@token.command()
@click.argument("name")
@_FILE
def revoke(name: str, file: Path | None) -> None:
    """Take a token away, by its name or id; running fronts hear of it within a second."""
    from pyodide_offline.features.mirror import tokens

    gone = tokens.revoke(file or tokens.file(os.environ), name)
    click.echo(f"{gone.name} ({gone.id}) is no token any more.", err=True)


@click.command(epilog=_ACCEPT)
@click.argument("kind", type=click.Choice(["npm", "pypi", "bundle"]))
@click.argument("name")
@click.argument("version", metavar="VERSION|FILE")
@click.option("--digest", default="", help="This one.  [default: the one that was refused]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@mirror_content.placing
def accept(
    kind: str,
    name: str,
    version: str,
    digest: str,
    yes: bool,
    place: "Place",
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Accept other bytes under a name and version than the mirror saw first.

    That goes into its log, signed, for all fronts of the store.
    """
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import oversight

    office = office_of(mirror_content.session_of(cache_dir, store_dir, quiet, verbose), place)
    pinned, refused = oversight.pending(office, kind, name)
    given = digest or next((one.given for one in refused if one.version == version), "")
    if given:
        click.echo(f"pinned:  {pinned.get(version, 'nothing')}", err=True)
        click.echo(f"instead: {given}", err=True)
        if not yes:
            click.confirm(f"Accept that for {kind} {name} {version}?", abort=True, err=True)
    oversight.accept(office, kind, name, version, given)
    click.echo(f"{kind} {name} {version} is accepted.", err=True)


@click.command(epilog=_AUDIT)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="NUMBER:SHA256",
    help="A head of the log that was noted before, which it must lead back to.",
)
@_JSON
@mirror_content.placing
def audit(
    heads: tuple[str, ...],
    as_json: bool,
    place: "Place",
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Read all of a mirror's store, hold it to its signed log, and list every fault.

    Exit status, added up: 1 corrupt, 2 untrusted, 4 incomplete.
    """
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import oversight
    from pyodide_offline.kits import starting

    session = mirror_content.session_of(cache_dir, store_dir, quiet, verbose)
    with working(session.progress, "auditing", None) as advance:
        report = oversight.audit(office_of(session, place), heads, advance)
    head = f"{report.head.number}:{report.head.sha256}"
    if as_json:
        record = {**dataclasses.asdict(report), "head": head}
        render.as_json(record)
        return starting.bits(report.faults)
    for fault in report.faults:
        click.echo(str(fault))
    if not quiet:
        word = f"{len(report.faults)} faults" if report.faults else "well"
        click.echo(
            f"{word}: {report.entries} entries, {report.pins} pins of {report.packages} packages, "
            f"{report.names} names, {report.blobs} contents ({megabytes(report.size)})",
            err=True,
        )
        click.echo(f"head {head}")
    return starting.bits(report.faults)


def office_of(session: "Session", place: "Place") -> "Office":
    """Return the store that an operator means, and with which keys."""
    from pyodide_offline.features.mirror.oversight import Office

    settings = mirror_content.settings_of(session, place)
    assert settings.signing_key is not None  # noqa: S101 - `settings` names one
    return Office(
        settings.store,
        session.environ,
        settings.cache,
        settings.signing_key,
        settings.trusted,
        settings.single,
    )


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else ""
