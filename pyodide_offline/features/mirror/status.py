"""The mirror's own page: what is held, how often that helped, upstreams, the last errors.

Plain HTML with its style inside: no script, nothing from elsewhere, and a policy that would
not let it. Every word that comes from outside is escaped.
"""

import base64
import hashlib
import html
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pyodide_offline import __version__
from pyodide_offline.features.mirror import refs
from pyodide_offline.features.mirror.census import Census, Count
from pyodide_offline.features.mirror.events import Events, Noted
from pyodide_offline.features.mirror.health import Health
from pyodide_offline.features.mirror.replies import Receive, Reply, Scope, Send

_SHOWN_ERRORS = 20
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bad: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7fd39b; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bad { color: var(--bad); } .good { color: var(--good); } footer { margin-top: 2rem; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Upstream:
    """How fetches of one kind from one host went."""

    host: str
    kind: str
    well: int
    failed: int
    seconds: float


class Status:
    """The page of one front. ``store`` names its depot, without secrets."""

    def __init__(self, events: Events, health: Health, census: Census, store: str) -> None:
        self._events = events
        self._health = health
        self._census = census
        self._store = store

    async def page(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer /."""
        condition = await self._health.condition()
        count = await self._census.count()
        text = render(self._events, self._store, count, depot=condition.depot)
        await Reply(200, text.encode(), HEADERS).send(scope, send)


def render(events: Events, store: str, count: Count | None, *, depot: bool) -> str:
    """Return the page as HTML."""
    hits, misses = events.count("hits"), events.count("misses")
    asked = hits + misses
    figures = [
        ("Store", _mark("answers", "good") if depot else _mark("does not answer", "bad")),
        ("Contents held", f"{count.blobs:,}" if count else "being counted"),
        ("Bytes held", _size(count.size) if count else "being counted"),
        ("Hit rate", f"{hits / asked:.1%}" if asked else "nothing asked yet"),
        ("Hits", f"{hits:,.0f}"),
        ("Misses", f"{misses:,.0f}"),
        ("Old indexes given", f"{events.count('stale'):,.0f}"),
        ("Handed out", _size(events.count("sent_bytes"))),
        ("Fetched", _size(events.count("fetched_bytes"))),
        ("Refused", f"{events.count('refused'):,.0f}"),
        ("Up for", _span(time.time() - events.started)),
    ]
    boxes = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    parts = [
        "<h1>pyodide-offline mirror</h1>",
        f"<p>{_escaped(store)}</p>",
        f"<dl>{boxes}</dl>",
        _section("What is held", ["Kind", "Names"], _kinds(count), "Nothing yet."),
        _section(
            "Upstreams",
            ["Host", "Kind", "Well", "Failed", "Mean time"],
            [
                [one.host, one.kind, f"{one.well:,}", f"{one.failed:,}", f"{one.seconds:.2f} s"]
                for one in upstreams(events)
            ],
            "None was asked.",
        ),
        _section(
            "Last errors",
            ["When (UTC)", "Where", "What"],
            [[_time(one.when), one.where, one.what] for one in _last(events)],
            "None.",
        ),
        f"<footer><p>pyodide-offline {__version__}; this front since {_time(events.started)} UTC, "
        f"shown at {_time(time.time())}. <a href='/metrics'>Metrics</a>, "
        "<a href='/openapi.json'>interface</a>.</p></footer>",
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>pyodide-offline mirror</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def upstreams(events: Events) -> list[Upstream]:
    """Return how fetches went, by host and kind."""
    counts: dict[tuple[str, str], list[float]] = {}
    for name, labels, value in events.samples():
        if not name.startswith("pyodide_offline_mirror_upstream_seconds_"):
            continue
        found = counts.setdefault((labels.get("host", ""), labels.get("kind", "")), [0, 0, 0])
        if name.endswith("_sum"):
            found[2] += value
        elif name.endswith("_count"):
            found[0 if labels.get("outcome") == "ok" else 1] += value
    return [
        Upstream(host, kind, int(well), int(failed), seconds / max(1, well + failed))
        for (host, kind), (well, failed, seconds) in sorted(counts.items())
    ]


def _last(events: Events) -> list[Noted]:
    return list(reversed(events.errors))[:_SHOWN_ERRORS]


def _kinds(count: Count | None) -> list[list[str]]:
    found = sorted(count.names.items()) if count else []
    return [[kind, f"{number:,}"] for kind, number in found if kind not in refs.OWN]


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    if not rows:
        return f"<section><h2>{title}</h2><p>{empty}</p></section>"
    numbers = {"Names", "Well", "Failed", "Mean time"}
    kinds = [" class='n'" if name in numbers else "" for name in head]
    top = "".join(
        f"<th scope='col'{kind}>{name}</th>" for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{_escaped(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f"<section><h2>{title}</h2>{table}</section>"


def _escaped(text: str) -> str:
    printable = "".join(one if one.isprintable() else " " for one in text)
    return html.escape(printable)


def _mark(text: str, kind: str) -> str:
    return f"<span class='{kind}'>{text}</span>"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days"


def _size(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
