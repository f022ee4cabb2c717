"""Variables as a shell, a CI system or a dotenv reader takes them. Pure.

| form | how a value is written |
| --- | --- |
| sh | single quotes (POSIX 2.2.2) |
| fish | single quotes, in which \\ and ' are escaped (its manual, "Quotes") |
| powershell | single quotes, doubled inside; typographic ones count too (about_Quoting_Rules) |
| github | NAME=value for $GITHUB_ENV, several lines between delimiters (workflow commands) |
| gitlab | NAME=value, no quotes, one line each: a dotenv report, which knows no others |
| dotenv | bare where every reader agrees on it, else quoted |
"""

import re
import shlex
from collections.abc import Callable, Mapping

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")
_POWERSHELL_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")


def lines(values: Mapping[str, str], shell: str) -> tuple[list[str], list[str]]:
    """Return the lines that set the variables, and the names that this form cannot hold."""
    written = {name: _FORMS[shell](name, value) for name, value in values.items()}
    told = [line for line in written.values() if line is not None]
    return told, [name for name, line in written.items() if line is None]


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}'"


def _powershell(name: str, value: str) -> str:
    doubled = _POWERSHELL_QUOTES.sub(lambda quote: quote[0] * 2, value)
    return f"$env:{name} = '{doubled}'"


def _github(name: str, value: str) -> str:
    if not re.search(r"[\r\n]", value):
        return f"{name}={value}"
    end = "END"
    while end in value:
        end += "_"
    return f"{name}<<{end}\n{value}\n{end}"


def _gitlab(name: str, value: str) -> str | None:
    # Blanks at the ends would be taken away, lines taken apart.
    return None if re.search(r"[\r\n]|^\s|\s$", value) else f"{name}={value}"


def _dotenv(name: str, value: str) -> str | None:
    if _BARE.fullmatch(value):
        return f"{name}={value}"
    if re.search(r"[\r\n]", value):
        return None
    if "'" not in value:
        return f"{name}='{value}'"
    # Readers differ in what they unescape and expand between double quotes.
    return None if re.search(r'["\\$`]', value) else f'{name}="{value}"'


_FORMS: Mapping[str, Callable[[str, str], str | None]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "github": _github,
    "gitlab": _gitlab,
    "dotenv": _dotenv,
}
SHELLS = tuple(_FORMS)
