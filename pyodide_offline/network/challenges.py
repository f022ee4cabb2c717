"""Proxy-Authenticate headers, read as RFC 9110 §11.6.1 has them.

A header holds several challenges, and a challenge several parameters, both parted by
commas: what follows a comma is a parameter if a ``=`` and a value follow its name, else
the next challenge. What cannot be read is skipped to the next comma.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAM = re.compile(rf'({_WORD})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|{_WORD})')
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+|(?=,|$))")
_GAP = re.compile(r"[ \t,]*")
_JUNK = re.compile(r"[^,]*")


@dataclass(frozen=True)
class Challenge:
    """One challenge: the scheme in lower case, a token or parameters (names in lower case)."""

    scheme: str
    token: str = ""
    params: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return a parameter; of one that is given twice the first."""
        return next((value for key, value in self.params if key == name), None)


def parse(headers: Sequence[str]) -> list[Challenge]:
    """Return the challenges of all headers of that name, in their order."""
    return [challenge for header in headers for challenge in _parse(header)]


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while (at := _end(_GAP, text, at)) < len(text):
        if match := _PARAM.match(text, at):
            at = match.end()
            if found:
                last = found.pop()
                pair = (match[1].lower(), _unquoted(match[2]))
                found.append(Challenge(last.scheme, last.token, (*last.params, pair)))
        elif match := _SCHEME.match(text, at):
            at = match.end()
            token = _TOKEN68.match(text, at) if text[at - 1] in " \t" else None
            at = token.end() if token else at
            found.append(Challenge(match[1].lower(), token[0] if token else ""))
        else:
            at = _end(_JUNK, text, at)
    return found


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
