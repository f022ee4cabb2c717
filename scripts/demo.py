"""Show an example worker answering: `python3 scripts/demo.py`.

Needs Python 3.11 or newer and package registries, nothing else; a second run needs no
network. It installs this project in .venv-demo, starts the example through
`pyodide-offline run -- pywrangler dev`, prints the answers of its pages and the URL, and
goes on until Ctrl-C. The database of the run is in a temporary folder unless
--persist-to names one. Standard library only.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import bootstrap
from bootstrap import ROOT, say

NAME = "Ada Lovelace"
GENERATED = ("python_modules", ".venv-workers", ".wrangler", "node_modules", "pylock.toml")
# The answers come from this machine: a proxy that the environment names is not asked.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoError(Exception):
    """The example did not start or did not answer as it should."""


def main() -> int:
    """Install, start, ask, and end as the options say."""
    options = parse(sys.argv[1:])
    # So that `finally` ends what was started also when this script is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        venv = install()
        with tempfile.TemporaryDirectory(prefix="pyodide-offline-demo-") as scratch:
            project = ROOT / "examples" / options.example
            if options.date:
                project = dated_copy(project, Path(scratch) / options.example, options.date)
            state = options.persist_to or Path(scratch) / "state"
            with worker(venv, project, state, options) as (child, url):
                wait_for_answer(child, url, options.timeout)
                show_pages(url, python=options.example == "starlette")
                say(url)
                if not options.check:
                    say("Ctrl-C ends it.")
                    say(f"It ended by itself with status {child.wait()}.")
                    return 1
    except KeyboardInterrupt:
        return 0
    except (DemoError, bootstrap.CannotPrepareError, OSError, HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="demo.py", description="Show an example answering.")
    parser.add_argument("--check", action="store_true", help="end after the answers")
    parser.add_argument("--example", choices=["starlette", "javascript"], default="starlette")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="with this compatibility date")
    parser.add_argument("--offline", action="store_true", help="forbid every request")
    parser.add_argument(
        "--persist-to",
        metavar="DIR",
        type=lambda text: Path(text).absolute(),
        help="keep the database here, for a next run",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=600,
        help="wait so long for the first answer (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.date and not re.fullmatch(r"\d{4}-\d\d-\d\d", options.date):
        parser.error(f"--date must look like 2026-11-17, not {options.date!r}")
    return options


def install() -> Path:
    """Install this project, as a user would, and return the venv."""
    venv = ROOT / ".venv-demo"
    if not os.access(ROOT, os.W_OK):
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        venv = Path(caches) / "pyodide-offline-demo" / "venv"
        venv.parent.mkdir(parents=True, exist_ok=True)
    sources = (
        path
        for path in (ROOT / "pyodide_offline").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    bootstrap.ensure_venv(venv, ["."], sources)
    return venv


def dated_copy(project: Path, copy: Path, date: str) -> Path:
    """Copy a project as it is in the repository, with another compatibility date."""
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*GENERATED))
    (config,) = copy.glob("wrangler.*")
    text = config.read_text(encoding="utf-8")
    changed, count = re.subn(r'(compatibility_date"?\s*[=:]\s*)"[^"]*"', rf'\1"{date}"', text)
    if count != 1:
        raise DemoError(f"{config} names {count} compatibility dates, not one.")
    config.write_text(changed, encoding="utf-8")
    return copy


@contextmanager
def worker(
    venv: Path, project: Path, state: Path, options: argparse.Namespace
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the example's dev server, show its lines, and end all of it at the end."""
    port = free_port()
    start = ["pywrangler", "dev"] if options.example == "starlette" else ["wrangler", "dev"]
    command = [
        str(bootstrap.bin_dir(venv) / "pyodide-offline"),
        "run",
        *(["--offline"] if options.offline else []),
        "--",
        *start,
        *("--ip", "127.0.0.1", "--port", str(port), "--persist-to", str(state)),
    ]
    say(f"$ cd {project.relative_to(ROOT) if project.is_relative_to(ROOT) else project}")
    say(f"$ pyodide-offline {shlex.join(command[1:])}")
    child = subprocess.Popen(
        command,
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    lines = threading.Thread(target=show_lines, args=(child,), daemon=True)
    lines.start()
    try:
        yield child, f"http://127.0.0.1:{port}"
    finally:
        end(child)
        lines.join(timeout=5)


def show_lines(child: subprocess.Popen[str]) -> None:
    """Print what the dev server prints, set apart from the answers."""
    for line in child.stdout or ():
        say(f"  | {line.rstrip()}")


def wait_for_answer(child: subprocess.Popen[str], url: str, seconds: float) -> None:
    """Return when the worker answers. Raises DemoError if it ends before, or too late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise DemoError(f"It ended with status {child.returncode} before it answered.")
        try:
            get(url)
        except urllib.error.HTTPError:
            return
        except (OSError, HTTPException):
            time.sleep(0.1)
        else:
            return
    raise DemoError(f"No answer within {seconds:.0f} s.")


def show_pages(url: str, *, python: bool) -> None:
    """Print each page's answer, one line each. Raises DemoError on a wrong one."""
    title = between_tags(get(url), "h1")
    show("/", title, title.startswith("Hello"))
    greeting = between_tags(get(f"{url}/form", {"name": NAME}), "p")
    show("/form", greeting, NAME in greeting)
    first = get(f"{url}/counter").strip()
    show("/counter", first, first.isdecimal())
    second = get(f"{url}/counter").strip()
    show("/counter", second, second == str(int(first) + 1))
    if python:
        version = get(f"{url}/version").strip()
        show("/version", version, version.startswith("3."))


def show(page: str, answer: str, right: bool) -> None:
    """Print one answer. Raises DemoError if it is not the right one."""
    say(f"{page:<9} {answer}")
    if not right:
        raise DemoError(f"That is not what {page} should answer.")


def between_tags(page: str, tag: str) -> str:
    """Return the text of a page's first element with this tag, or the page."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return found[1] if found else page


def get(url: str, form: dict[str, str] | None = None) -> str:
    """Ask for a page, or post a form, and return the answer's text."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    with _direct.open(url, data=data, timeout=20) as answer:
        text: str = answer.read().decode("utf-8")
    return text


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def end(child: subprocess.Popen[str]) -> None:
    """End what was started: ask its leader, then the whole group, then insist."""
    group = child.pid
    steps = [(child.terminate, 15.0)]
    if sys.platform != "win32":
        steps += [
            (lambda: os.killpg(group, signal.SIGTERM), 3.0),
            (lambda: os.killpg(group, signal.SIGKILL), 3.0),
        ]
    else:
        steps += [(child.kill, 3.0)]
    for tell, seconds in steps:
        with suppress(ProcessLookupError):
            tell()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if child.poll() is not None and not group_lives(group):
                return
            time.sleep(0.05)


def group_lives(group: int) -> bool:
    """Say whether a process of this group is left."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
