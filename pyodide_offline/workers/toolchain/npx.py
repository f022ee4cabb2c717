"""A ``wrangler`` and an ``npx`` that start a known one at once; all else goes to the real npx.

npx takes 0.3 to 0.6 s to find what is in the project, and pywrangler calls it twice a
start, the first time for ``--version`` alone. What the real one does is kept: it takes the
nearest ``node_modules/.bin/wrangler`` from the folder that it is called in upward, then the
global one, and it puts the ``.bin`` folders on PATH (libnpmexec, ``index.js``).
"""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers.toolchain import launch, programs
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.wrangler import Wrangler

# -ef is not in every POSIX, but in dash, bash, busybox and zsh. What wrangler prints for
# --version where nobody looks on was the same line for 4.57 to 4.164; a log level may
# silence it, and an npm at work may have changed the package since.
_SCRIPT = """\
#!/bin/sh
# Made by pyodide-offline: starts a known wrangler at once, and the real npx for all else.
npx={npx} version={version}
manifest={manifest} made_for={made_for}

skipped=0 known=
for word in "$@"; do
  skipped=$((skipped + 1))
  case $word in
    -y | --yes | -s | --silent | -q | --quiet | --no | --no-install) ;;
    --offline | --prefer-offline) ;;
    wrangler | wrangler@"$version") known=1; break ;;
    *) break ;;
  esac
done
[ "$known" ] || exec "$npx" "$@"

folder=$(pwd -P) nearest= bins=
while :; do
  bin=$folder/node_modules/.bin
  if [ -d "$bin" ]; then
    bins=$bins$bin:
    [ -z "$nearest" ] && [ -e "$bin/wrangler" ] && nearest=$bin/wrangler
  fi
  [ "$folder" ] || break
  folder=${{folder%/*}}
done
if [ "$made_for" ]; then
  [ "$nearest" -ef "$made_for" ] || exec "$npx" "$@"
elif [ "$nearest" ]; then
  exec "$npx" "$@"
fi

shift "$skipped"
if [ "$#" = 1 ] && [ "$1" = --version ] && [ ! -t 1 ] && [ -z "$WRANGLER_LOG" ]; then
  while IFS= read -r line; do
    case $line in
      *'"version": "'"$version"'"'*) printf '%s\\n' "$version"; exit 0 ;;
    esac
  done <"$manifest"
fi
PATH=$bins$PATH
export PATH
exec {start} "$@"
"""
_WRANGLER = """\
#!/bin/sh
# Made by pyodide-offline: the wrangler that would be found here, started directly.
exec {start} "$@"
"""


def first(
    session: Session, node: Node, wrangler: Wrangler, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment with these two first on PATH, where they can be made."""
    program = launch.program(wrangler.package)
    if sys.platform == "win32" or program is None:
        return dict(environ)
    start = shlex.join(launch.command(node, program))
    made = []
    if _found(environ) == program.resolve():
        made.append(programs.script(session, "wrangler", _WRANGLER.format(start=start)))
    if script := _script(session, wrangler, program, start, environ):
        made.append(programs.script(session, "npx", script))
    path = [*(str(one.parent) for one in made), environ.get("PATH", "")]
    return {**environ, "PATH": os.pathsep.join(path)}


def _found(environ: Mapping[str, str]) -> Path | None:
    """Return the file behind the ``wrangler`` on PATH. A script of another's is its own."""
    found = programs.which("wrangler", environ)
    return found.resolve() if found else None


def _script(
    session: Session, wrangler: Wrangler, program: Path, start: str, environ: Mapping[str, str]
) -> str | None:
    npx = _real(session, environ)
    if npx is None:
        return None
    made_for = ""
    if not wrangler.managed:
        command = wrangler.bin_dir / "wrangler"
        if command.is_symlink() and command.resolve() != program.resolve():
            return None
        made_for = str(command)
    values = {
        "npx": str(npx),
        "version": wrangler.version,
        "manifest": str(wrangler.package / "package.json"),
        "made_for": made_for,
    }
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    return _SCRIPT.format(start=start, **quoted)


def _real(session: Session, environ: Mapping[str, str]) -> Path | None:
    """Return the user's or the managed npx, never one of ours (a ``run`` in a ``run``)."""
    ours = session.store.root / LAYOUT / "bin"
    folders = environ.get("PATH", "").split(os.pathsep)
    kept = [folder for folder in folders if folder and not Path(folder).is_relative_to(ours)]
    return programs.which("npx", {"PATH": os.pathsep.join(kept)})
