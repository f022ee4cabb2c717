"""`pyodide-offline doctor`: what is broken, whose fault it is, what to type."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyodide_offline import paths, redact
from pyodide_offline.cli import options, render
from pyodide_offline.cli.boundary import show
from pyodide_offline.errors import PyodideOfflineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_offline.features.doctor.examination import Examination
    from pyodide_offline.features.doctor.finding import Finding
    from pyodide_offline.session import Session

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red", "timeout": "red", "skip": None}
_EPILOG = """\b
Examples:
  pyodide-offline doctor
  pyodide-offline doctor -v --check proxy
  pyodide-offline doctor --json --strict
  pyodide-offline doctor --list
  pyodide-offline doctor --fix
  pyodide-offline doctor --report for-it.txt
\b
An ID may be a whole domain: --check proxy, --skip dns. Exit status: 0 nothing failed,
1 something failed or took too long, 2 the checks could not be run.
"""


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=_EPILOG)
@click.argument(
    "project",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="[PROJECT]",
)
@click.option("--check", "only", multiple=True, metavar="ID", help="Only this and what it needs.")
@click.option("--skip", "without", multiple=True, metavar="ID", help="All but this.")
@click.option("--list", "listing", is_flag=True, help="List the checks, run none.")
@click.option("--strict", is_flag=True, help="A warning is a failure.")
@click.option("--fix", is_flag=True, help="Repair what may be repaired; asks before each.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--undo", is_flag=True, help="Take back what --fix has done.")
@click.option("--report", type=_FILE, metavar="FILE", help="Write a text for the IT department.")
@click.option("--archive", type=_FILE, metavar="FILE", help="Write a .tar.gz for a bug report.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of --json.")
@click.option("--offline", is_flag=True, envvar="PYODIDE_OFFLINE_OFFLINE", help="Make no request.")
@options.mirroring
@options.proxying
@options.trusting
@options.storage
@options.as_json
@click.option("-v", "--verbose", is_flag=True, help="Show the evidence too.")
def doctor(
    project: Path,
    only: tuple[str, ...],
    without: tuple[str, ...],
    listing: bool,
    strict: bool,
    fix: bool,
    yes: bool,
    undo: bool,
    report: Path | None,
    archive: Path | None,
    schema: bool,
    offline: bool,
    mirror: str | None,
    proxies: tuple[str, ...],
    pac: str | None,
    ca: tuple[Path, ...],
    cache_dir: Path | None,
    store_dir: Path | None,
    as_json: bool,
    verbose: bool,
) -> int:
    """Say what is broken here, whose fault it is, and what to type."""
    from pyodide_offline.features.doctor import examination as feature

    if schema:
        click.echo(feature.schema(), nl=False)
        return 0
    if listing:
        return _list(as_json=as_json)
    if undo and fix:
        raise click.UsageError("--fix and --undo contradict each other.")
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        project=project,
        offline=offline,
        quiet=True,
        proxies=proxies,
        pac=pac,
        mirror=mirror,
    )
    if ca:  # for us alone: what other programs trust is to be seen as it is
        named = os.pathsep.join(str(one.expanduser().absolute()) for one in ca)
        session = replace(session, environ={**session.environ, paths.CA_VARIABLE: named})
    if undo:
        return _undo(session)
    try:
        seen = feature.examine(session, only=only, without=without)
        if fix and _treat(session, seen, agreed=yes):
            seen = feature.examine(session, only=only, without=without)
    except KeyError as error:
        hint = "--list shows all of them"
        raise click.UsageError(f"There is no check {error.args[0]!r}; {hint}.") from error
    except PyodideOfflineError as error:
        show(error)
        return 2
    document = feature.document(seen, strict=strict)
    if report or archive:
        _hand_over(session, document, report, archive)
    if as_json:
        render.as_json(document)
    else:
        _print(seen, verbose=verbose)
    return seen.status(strict=strict)


def _treat(session: "Session", seen: "Examination", *, agreed: bool) -> bool:
    """Show each repair, ask, do it; say whether anything was changed. All on stderr."""
    from pyodide_offline.features.doctor import treatment

    def ask(step: treatment.Step) -> bool:
        click.echo(f"{step.finding.id}: {redact.text(step.shown)}", err=True)
        return agreed or (sys.stdin.isatty() and click.confirm("  Do it?", err=True))

    steps = treatment.plan(session, seen.findings)
    done = treatment.treat(session, steps, ask)
    for one in done:
        if one.error:
            show(one.error)
        for line in one.typed:
            click.echo(f"  type: {redact.text(line)}", err=True)
    changed = sum(one.error is None for one in done)
    if not steps:
        click.echo("There is nothing here that --fix may do.", err=True)
    elif not done and not agreed:
        click.echo("Nothing was done. Without a terminal to ask: --fix --yes", err=True)
    else:
        click.echo(f"{changed} of {len(steps)} done; to take it back: doctor --undo", err=True)
    return changed > 0


def _hand_over(
    session: "Session", document: "Mapping[str, Any]", report: Path | None, archive: Path | None
) -> None:
    from pyodide_offline.features.doctor import report as reports

    for file, write in ((report, reports.write_for_network), (archive, reports.write_archive)):
        if file:
            write(session, document, file.absolute())
            click.echo(f"Written, without secrets: {file}. Read it before you send it.", err=True)


def _undo(session: "Session") -> int:
    from pyodide_offline.features.doctor import treatment

    told = treatment.undo(session)
    for line in told:
        click.echo(redact.text(line))
    if not told:
        click.echo("Nothing is written down that could be taken back.")
    return 0


def _list(*, as_json: bool) -> int:
    from pyodide_offline.features.doctor.catalogue import CHECKS

    if as_json:
        render.as_json([{"id": one.id, "title": one.title, "needs": one.needs} for one in CHECKS])
    else:
        rows = [[one.id, one.title, ", ".join(one.needs) or "-"] for one in CHECKS]
        render.table(["ID", "QUESTION", "NEEDS"], rows)
    return 0


def _print(seen: "Examination", *, verbose: bool) -> None:
    verdict = seen.verdict
    colour = {"ok": "green", "degraded": "yellow"}.get(verdict.word, "red")
    head = click.style(verdict.word, fg=colour, bold=True)
    click.echo(f"{head}: {redact.text(verdict.sentence)}")
    if verdict.way:
        click.echo(redact.text(verdict.way))
    click.echo()
    width = max(len(one.id) for one in seen.findings)
    for one in seen.findings:
        state = click.style(one.state.value.upper().ljust(7), fg=_COLOURS[one.state.value])
        click.echo(f"{state} {one.id.ljust(width)}  {redact.text(one.summary)}")
        _details(one, verbose=verbose)


def _details(finding: "Finding", *, verbose: bool) -> None:
    if finding.state.value in ("warn", "fail", "timeout"):
        for line in (finding.cause, finding.fix and f"fix: {finding.fix}"):
            if line:
                click.echo(f"          {redact.text(line)}")
    if verbose:
        for name, value in finding.evidence.items():
            click.echo(f"          {name}: {redact.text(_shown(value))}")


def _shown(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
