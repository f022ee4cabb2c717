"""`pyodide-offline resolve`: addresses of names, over HTTPS where DNS does not answer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import options, render

if TYPE_CHECKING:
    from pyodide_offline.features.resolve import Comparison, Found

_EPILOG = """\b
Examples:
  pyodide-offline resolve pyodide-capnp-bin.edgeworker.net
  pyodide-offline resolve --policy secure --hosts github.com index.pyodide.org
  pyodide-offline resolve --compare intranet.example
  pyodide-offline resolve --type HTTPS --json cloudflare.com
  pyodide-offline resolve --resolver 'https://dns.example/dns-query#192.0.2.53' a.example
"""


@click.command(epilog=_EPILOG)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option(
    "--policy",
    type=click.Choice(["auto", "secure"]),
    default="auto",
    show_default=True,
    help="The system first, HTTPS where it fails; or only HTTPS.",
)
@click.option(
    "--type",
    "types",
    type=click.Choice(["A", "AAAA", "HTTPS", "SVCB"], case_sensitive=False),
    multiple=True,
    help="What to ask for; may be repeated.  [default: A, AAAA]",
)
@click.option(
    "--resolver",
    "resolver",
    multiple=True,
    envvar="PYODIDE_OFFLINE_RESOLVER",
    metavar="URL",
    help="Ask this one; may be repeated.  [default: Cloudflare, Google, Quad9]",
)
@click.option("--direct", is_flag=True, help="Past every proxy.")
@click.option("--hosts", "as_hosts", is_flag=True, help="Print lines for a hosts file.")
@click.option("--compare", is_flag=True, help="System, HTTPS, HTTPS through the proxy, together.")
@options.proxying
@options.trusting
@options.storage
@options.as_json
@options.loudness
def resolve(
    hosts: tuple[str, ...],
    policy: str,
    types: tuple[str, ...],
    resolver: tuple[str, ...],
    direct: bool,
    as_hosts: bool,
    compare: bool,
    proxies: tuple[str, ...],
    pac: str | None,
    cache_dir: Path | None,
    store_dir: Path | None,
    ca: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Find addresses by the system's resolver and by DNS over HTTPS.

    Exit status 1 if a name has no address, 3 if nobody could be asked.
    """
    from pyodide_offline.features import resolve as feature

    if as_json + as_hosts + compare > 1 and not (as_json and compare):
        raise click.UsageError("--hosts goes neither with --json nor with --compare.")
    if compare and (types or direct):
        raise click.UsageError("--compare asks for addresses by every way: no --type, no --direct.")
    try:
        names = list(dict.fromkeys(feature.canonical(host) for host in hosts))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="HOST") from error
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        quiet=quiet,
        plain=as_json,
        proxies=proxies,
        pac=pac,
        ca=ca,
    )
    wanted = tuple(dict.fromkeys(types)) or feature.ADDRESSES
    if as_hosts:
        wanted = feature.ADDRESSES
    how = feature.How(wanted, policy, resolver, direct)
    if compare:
        return _compared(feature.compare(session, names, how), as_json=as_json)
    found = feature.resolve(session, names, how)
    missing = [one for one in found if not any(line.type in wanted for line in one.lines)]
    if as_json:
        render.as_json([_record(one) for one in found])
    elif as_hosts:
        for one in found:
            for address in one.addresses:
                click.echo(f"{address}\t{one.name}")
    else:
        _table(found)
    for one in found:
        if one in missing or verbose:
            for reason in one.reasons:
                click.echo(f"{one.name}: {reason}", err=True)
    return 1 if missing else 0


def _table(found: "list[Found]") -> None:
    rows = [
        [
            line.name,
            line.type,
            line.value,
            "-" if line.ttl is None else str(line.ttl),
            line.source,
            f"{line.ms:.0f}",
        ]
        for one in found
        for line in one.lines
    ]
    if rows:
        render.table(["NAME", "TYPE", "ANSWER", "TTL", "FROM", "MS"], rows, right=[3, 5])


def _compared(compared: "list[Comparison]", *, as_json: bool) -> int:
    if as_json:
        render.as_json(
            [
                {
                    "name": one.name,
                    "views": [vars(view) for view in one.views],
                    "sentence": one.sentence,
                }
                for one in compared
            ]
        )
    else:
        ways = [view.way for view in compared[0].views]
        # As many lines a name as its longest answer has.
        rows = []
        for one in compared:
            columns = [
                list(view.addresses) or [_short(view.reason, view.unreachable)]
                for view in one.views
            ]
            for place in range(max(len(column) for column in columns)):
                cells = [column[place] if place < len(column) else "" for column in columns]
                rows.append([one.name if place == 0 else "", *cells])
        render.table(["NAME", *(way.upper() for way in ways)], rows)
        for one in compared:
            click.echo(one.sentence)
        silent = {
            view.way: view.reason for one in compared for view in one.views if view.unreachable
        }
        for way, reason in silent.items():
            click.echo(f"{way}: {reason}", err=True)
        if len(ways) == 2:
            click.echo("No proxy is named, so there is no third way.")
    known = all(any(view.addresses for view in one.views) for one in compared)
    return 0 if known else 1


def _short(reason: str, unreachable: bool) -> str:
    if unreachable:
        return "(nobody answers)"
    return f"({reason})" if 0 < len(reason) < 30 else "(none)"


def _record(found: "Found") -> dict[str, object]:
    return {
        "name": found.name,
        "addresses": found.addresses,
        "records": [vars(line) for line in found.lines],
        "reasons": found.reasons,
    }
