"""The command that starts a wrangler without its own intermediate process, and sooner.

- npm's command for wrangler (``bin/wrangler.js``) checks Node's version and starts a second
  Node with wrangler's real program. What it gives to that one is read from its text, as
  long as it is written as in 4.57 to 4.164; of any other the command itself is started.
- V8 begins with 1 MB for new objects, and collects some hundred times while wrangler's
  15 MB of JavaScript are loaded. With more room a start takes some 0.1 s less.
- What V8 makes of wrangler's large files is kept (``kept_code.js``): some 0.2 s less.
"""

import json
import re
from pathlib import Path

from pyodide_offline.workers.toolchain.node import Node

# MB; V8's own flags since long before the oldest Node that a wrangler takes.
_ROOM = ("--max-semi-space-size=128", "--min-semi-space-size=64")
_LOADER = Path(__file__).with_name("kept_code.js")
# The folder in which it keeps that; without one it does nothing.
KEPT_CODE = "PYODIDE_OFFLINE_KEPT_CODE"
_HANDS_ON = re.compile(
    r"\bspawn\(\s*process\.execPath,\s*\[\s*"
    r'(?P<options>(?:"--[\w-]+",\s*)*)'
    r"\.\.\.process\.execArgv,\s*"
    r'path\.join\(__dirname, "(?P<program>[\w./-]+)"\),\s*'
    r"\.\.\.process\.argv\.slice\(2\),?\s*\]"
)


def command(node: Node, program: Path) -> tuple[str, ...]:
    """Return the words that start wrangler, given the ``program`` that npm's command runs."""
    start = (str(node.executable), *_ROOM, "--require", str(_LOADER))
    if handed := _HANDS_ON.search(_text(program)):
        real = (program.resolve().parent / handed["program"]).resolve()
        if real.is_file():
            return (*start, *re.findall(r'"(--[\w-]+)"', handed["options"]), str(real))
    return (*start, str(program))


def program(package: Path) -> Path | None:
    """Return the file that npm's command ``wrangler`` runs, as package.json names it."""
    try:
        entry = json.loads((package / "package.json").read_bytes())["bin"]["wrangler"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found = package / str(entry)
    return found if found.is_file() else None


def _text(program: Path) -> str:
    try:
        return program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
