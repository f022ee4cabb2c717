"""What workerd's last words mean, and what to do about them. Pure.

The texts are those of the releases of 2024 to 2026 as they were seen (C++ first, Rust since
2026). The first rule that fits wins: the cause stands before what follows from it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Symptom:
    """One to three lines: what failed, why, what to do next."""

    id: str
    what: str
    why: str
    next_step: str

    def lines(self) -> list[str]:
        """Return its lines, empty parts left out."""
        return [part for part in (self.what, self.why, self.next_step) if part]


_Rule = tuple[str, "re.Pattern[str]", Callable[["re.Match[str]"], Sequence[str]]]
_DOCTOR = "Type: pyodide-offline doctor"

_RULES: Sequence[_Rule] = (
    (
        "wrong-digest",
        re.compile(
            r"Pyodide bundle integrity check failed.*?version = (?P<id>[^;\s]+)"
            r"(?:.*?expectedIntegrity = (?P<expected>[^;\s]+))?",
            re.DOTALL,
        ),
        lambda m: (
            f"The bundle {m['id']} that workerd found is not the one that it must be.",
            f"It must have {m['expected']}." if m["expected"] else "",
            "Type: pyodide-offline doctor --fix --check cache",
        ),
    ),
    (
        "broken-bundle",
        re.compile(r"Message did not contain a root pointer|Message ends prematurely"),
        lambda _: (
            "The bundle that workerd found is no bundle: perhaps a block page, or cut short.",
            "It ends over it at every start.",
            "Type: pyodide-offline doctor --fix --check cache",
        ),
    ),
    (
        "cache-unreadable",
        re.compile(r"Pyodide bundle disk cache: (?P<path>[^\n]+?): (?P<reason>[^:\n]+)(?:\n|$)"),
        lambda m: (
            f"workerd cannot read its bundle {m['path']}: {m['reason'].partition(' (os')[0]}.",
            "",
            "Type: pyodide-offline doctor --check cache",
        ),
    ),
    (
        "untrusted",
        re.compile(
            r"TLS peer's certificate is not trusted; reason = (?P<old>[^\n;]+)"
            r"|invalid peer certificate: (?P<new>\w+)"
        ),
        lambda m: (
            "workerd does not trust who answered for the bundle's host.",
            f"Its words: {m['old'] or m['new']}. Somebody between opens TLS.",
            "Name the CA's file: pyodide-offline run --ca FILE -- …",
        ),
    ),
    (
        "bundle-unreachable",
        re.compile(
            r"Request for Pyodide bundle failed; url = (?P<url>[^;\s]+)(?:; (?P<new>[^\n\"]+))?"
            r"|(?P<old>DNS lookup failed)[^\n]*params\.host = (?P<host>[\w.-]*edgeworker[\w.-]*)"
        ),
        lambda m: (
            f"workerd was to download its bundle and could not: {m['new'] or m['old'] or ''}.",
            f"It asked {m['url'] or m['host']}, through no proxy: it knows none.",
            "`run` could not give it one either: its own words are above. " + _DOCTOR,
        ),
    ),
    (
        "glibc",
        re.compile(r"version [`'](?P<wanted>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found"),
        lambda m: (
            f"workerd wants {m['wanted']}, which this system is too old for.",
            "",
            "Use a newer system or image, or an older wrangler.",
        ),
    ),
    (
        "not-executable",
        re.compile(r"workerd cannot be started: (?P<path>[^\n]+): (?P<reason>[^:\n]+)"),
        lambda m: (
            f"workerd cannot be started: {m['reason'].strip()}.",
            f"It is {m['path']}.",
            "Type: pyodide-offline doctor --fix --check tool.workerd",
        ),
    ),
    (
        "unknown-flag",
        re.compile(r"No such compatibility flag: (?P<flag>\w+)"),
        lambda m: (
            f"This workerd knows no compatibility flag {m['flag']}.",
            "The flag is newer than it, or misspelt in the wrangler configuration.",
            "Renew wrangler (npm install wrangler@latest), or correct the flag.",
        ),
    ),
    (
        "contradiction",
        re.compile(r"flags are mutually contradictory: (?P<one>\w+) vs (?P<other>\w+)"),
        lambda m: (
            f"The flags {m['one']} and {m['other']} exclude each other.",
            "",
            "Take one of them out of the wrangler configuration.",
        ),
    ),
    (
        "unknown-option",
        re.compile(
            r"unexpected argument '(?P<new>--[\w-]+)|unrecognized option:? [`']?(?P<old>--[\w-]+)"
        ),
        lambda m: (
            f"This workerd knows no option {m['new'] or m['old']}.",
            "It is too old for what starts it.",
            "Renew wrangler: npm install wrangler@latest",
        ),
    ),
    (
        "address-in-use",
        re.compile(r"Address already in use|EADDRINUSE"),
        lambda _: (
            "A port that workerd was to listen on is taken.",
            "",
            "Type: pyodide-offline doctor --check machine.ports, or use another --port",
        ),
    ),
    (
        "pyodide-version",
        re.compile(r"Pyodide version mismatch, expected '(?P<wanted>[\w.]+)'"),
        lambda m: (
            f"This workerd takes Pyodide {m['wanted']} only, and was given another one.",
            "",
            "Type the same with --bundle npm; if it stays so: pyodide-offline doctor --archive F",
        ),
    ),
    (
        "no-sdk",
        re.compile(r"No module named '(?P<name>workers|asgi)'"),
        lambda m: (
            f"The worker imports {m['name']}, and python_modules does not have it.",
            "It comes with workers-runtime-sdk.",
            "Type: pyodide-offline run -- pywrangler sync --force",
        ),
    ),
    (
        "no-module",
        re.compile(r"ModuleNotFoundError: No module named '(?P<name>[\w.]+)'"),
        lambda m: (
            f"The worker imports {m['name']}, which is not there.",
            "",
            "Put its package into pyproject.toml's dependencies and start again.",
        ),
    ),
)


def recognised(text: str) -> Symptom | None:
    """Return what a text of workerd's standard error tells of, None if nothing known."""
    for name, pattern, explain in _RULES:
        if match := pattern.search(text):
            return Symptom(name, *explain(match))
    return None


def port_taken(port: int, holder: str) -> Symptom:
    """Return that somebody listens on the port that a dev server was told to use."""
    return Symptom(
        "address-in-use",
        f"Port {port} is taken: {holder} listens there.",
        "",
        f"End it, or name another port: --port {port + 1}",
    )
