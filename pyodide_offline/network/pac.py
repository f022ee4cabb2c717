"""PAC: a script that tells the proxies for a URL. Pure: what it asks of DNS is a value here.

- The script runs in QuickJS (the extra ``pac``), which knows no files and no network, for
  SECONDS and with MEMORY at most; a fresh one a call, so no call sees another's variables.
- A name whose addresses it wants and which is not known yet ends the run: the caller looks
  it up and runs it again. QuickJS cannot bound time and call Python at once.
- Of an https URL the script sees scheme, host and port only, as in browsers.
- ``PROXY`` and ``HTTP`` mean an http proxy, ``HTTPS`` one that speaks TLS, ``SOCKS`` and
  ``SOCKS5`` a SOCKS5 one that looks names up, ``DIRECT`` none; what else there is (SOCKS4)
  is left out. No answer means DIRECT.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pyodide_offline.errors import SettingsError
from pyodide_offline.network.proxies import Upstream, parse

SECONDS = 2.0
MEMORY = 32 << 20
_SCHEMES = {"PROXY": "http", "HTTP": "http", "HTTPS": "https", "SOCKS": "socks5h"}
_SCHEMES["SOCKS5"] = "socks5h"


@dataclass(frozen=True)
class Machine:
    """What a script may learn of this machine: names' addresses, its own, the time in ms."""

    known: Mapping[str, Sequence[str]]
    mine: Sequence[str] = ()
    now: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the script's answer, or the names whose addresses it wants."""

    answer: str = ""
    missing: tuple[str, ...] = ()


def run(script: str, url: str, host: str, machine: Machine, origin: str) -> Outcome:
    """Run a script's FindProxyForURL. Raises SettingsError; ``origin`` says whose it is."""
    try:
        import quickjs
    except ImportError as error:
        raise SettingsError(
            f"{origin} is a script, and what runs it is not installed.",
            next_step="Type: pip install 'pyodide-offline[pac]'",
        ) from error
    context = quickjs.Context()
    context.set_memory_limit(MEMORY)
    context.set_time_limit(SECONDS)
    given = {"__known": dict(machine.known), "__mine": list(machine.mine), "__now": machine.now}
    settings = "".join(f"var {name} = {json.dumps(value)};" for name, value in given.items())
    call = f"({json.dumps(url)}, {json.dumps(host)})"
    try:
        context.eval(settings + _functions())
        context.eval(script)
        answer = context.eval(
            f"typeof FindProxyForURL === 'function' ? FindProxyForURL{call} : "
            f"FindProxyForURLEx{call}"
        )
        missing = json.loads(context.eval("JSON.stringify(__missing)"))
    except (quickjs.JSException, ValueError, TypeError) as error:
        raise SettingsError(
            f"{origin} is no PAC file that can be used: {_said(error)}",
            next_step="Ask who runs the proxy, or name the proxy itself: --proxy",
        ) from error
    return Outcome(answer if isinstance(answer, str) else "", tuple(map(str, missing)))


def read(answer: str, origin: str) -> list[Upstream]:
    """Return the proxies of an answer, in its order; only DIRECT is an empty list.

    Raises SettingsError if there is something in it, but nothing that is known here.
    """
    found: list[Upstream] = []
    for one in answer.split(";"):
        kind, _, place = one.strip().partition(" ")
        if kind.upper() == "DIRECT":
            found.append(Upstream("direct", "", 0, origin=origin, named=False))
        elif (scheme := _SCHEMES.get(kind.upper())) and "@" not in place:
            made = parse(f"{scheme}://{place.strip()}", origin)
            # SOCKS has 1080 as elsewhere; for the others PAC files leave out 80 and 443.
            found.append(Upstream(made.scheme, made.host, made.port, origin=origin, named=False))
    if not found and answer.strip(" ;"):
        raise SettingsError(
            f"{origin} names no proxy of a kind that is known here: {answer[:80]!r}.",
            next_step="Name one yourself: --proxy http://host:port",
        )
    return found if any(one.scheme != "direct" for one in found) else []


def shown(scheme: str, host: str, port: int) -> str:
    """Return the URL that a script gets to see for a target."""
    place = f"[{host}]" if ":" in host else host
    standard = {"https": 443, "http": 80}.get(scheme) == port
    return f"{scheme}://{place}{'' if standard else f':{port}'}/"


@cache
def _functions() -> str:
    return files("pyodide_offline.network").joinpath("pac_functions.js").read_text("utf-8")


def _said(error: Exception) -> str:
    """Return the first line of what QuickJS says; ``null`` is how it reports a full memory."""
    first = (str(error).splitlines() or [""])[0].strip()
    if first == "null" or first.endswith("out of memory"):
        return f"it needs more than {MEMORY >> 20} MiB."
    if first.endswith("interrupted"):
        return f"it runs longer than {SECONDS:.0f} seconds."
    return first.rstrip(".") + "."
