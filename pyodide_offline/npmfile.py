"""The syntax of npm's settings: .npmrc files and npm_config_* variables, as keys and values.

From npm's documentation (npmrc, config) and seen on npm 11:

- Variable names: the prefix in any case, then ``_`` is ``-`` and case does not matter,
  except for names that begin with ``//``, which stay as they are. Empty ones count as unset.
- Files: ``key = value`` lines, ``;`` and ``#`` begin comments, values may be in quotes.
- ``${NAME}`` is replaced from the environment; unset it stays as written, and with a
  question mark, ``${NAME?}``, it becomes empty.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_PREFIX = "npm_config_"
VARIABLE = re.compile(r"(?P<slashes>\\*)\$\{(?P<name>[^${}?]+)(?P<soft>\?)?\}")


def parse(text: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield keys and values of an npmrc file's text, variables replaced."""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in ";#[":
            continue
        key, equals, value = line.partition("=")
        yield (
            _expand(_plain(key.strip()), environ),
            _expand(_plain(value.strip()), environ) if equals else "true",
        )


def _plain(text: str) -> str:
    """Take quotes or a trailing comment off."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        if text[0] == "'":
            return text[1:-1]
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    kept = re.match(r"(?:\\[;#\\]|[^;#])*", text)
    return re.sub(r"\\([;#\\])", r"\1", kept[0]).strip() if kept else text


def _expand(text: str, environ: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        slashes = match["slashes"]
        if len(slashes) % 2:
            return match[0][(len(slashes) + 1) // 2 :]
        unset = "" if match["soft"] else match[0][len(slashes) :]
        return slashes[: len(slashes) // 2] + environ.get(match["name"], unset)

    return VARIABLE.sub(put, text)


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and the variable's own name for each that is set."""
    for name, value in environ.items():
        if not name.lower().startswith(_PREFIX) or not value:
            continue
        key = name[len(_PREFIX) :]
        if not key.startswith("//"):
            key = key[:1].lower() + key[1:].lower().replace("_", "-")
        yield key, value, name


def project_root(folder: Path) -> Path:
    """Return the folder whose .npmrc is the project's: the nearest with a package."""
    for one in (folder, *folder.parents):
        if (one / "package.json").is_file() or (one / "node_modules").is_dir():
            return one
    return folder
