"""Where errors end: one to three lines for a person, an exit status for a script."""

import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from pyodide_offline import redact
from pyodide_offline.errors import PyodideOfflineError

BUG = 70
INTERRUPTED = 130


def guarded(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command group; turn every error into lines and a status."""
    try:
        status = _run(arguments)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PyodideOfflineError as error:
        show(error)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        # The reader of our output went away (a pager, head): nothing to say, nowhere to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # a bug of ours
        _report_bug(error)
        sys.exit(BUG)
    sys.exit(status if isinstance(status, int) else 0)


def _run(arguments: Sequence[str] | None) -> object:
    """Run the command; once more where a person then tells a login that was missing."""
    from pyodide_offline.cli.app import app

    while True:
        try:
            return app.main(args=arguments, prog_name="pyodide-offline", standalone_mode=False)
        except PyodideOfflineError:
            from pyodide_offline.cli import prompt

            if not prompt.answered():
                raise


def show(error: PyodideOfflineError) -> None:
    """Print an error on standard error: as JSON where JSON was asked for, else as lines."""
    lines = [redact.text(line) for line in error.lines()]
    context = click.get_current_context(silent=True)
    if "--json" in sys.argv or (context and context.params.get("as_json")):
        parts = {"what": error.what, "why": error.why, "next_step": error.next_step}
        record = {name: redact.text(part) for name, part in parts.items()}
        click.echo(json.dumps({"error": {"code": error.code, **record}}), err=True)
        return
    head = click.style("error", fg="red", bold=True)
    click.echo(f"{head}[{error.code}]: {lines[0]}", err=True, color=colour())
    for line in lines[1:]:
        click.echo(f"  {line}", err=True)


def colour() -> bool | None:
    """Return False where NO_COLOR is set (no-color.org), else let click decide."""
    return False if os.environ.get("NO_COLOR") else None


def _report_bug(error: Exception) -> None:
    import platform
    import tempfile
    import traceback

    from pyodide_offline import __version__

    text = redact.text("".join(traceback.format_exception(error)))
    head = f"pyodide-offline {__version__}, Python {platform.python_version()}, {sys.platform}\n"
    with tempfile.NamedTemporaryFile(
        "w", prefix="pyodide-offline-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(head + text)
    click.echo(f"error[bug]: {type(error).__name__}: {redact.text(str(error))}", err=True)
    click.echo(f"  This is a fault of pyodide-offline. Details: {file.name}", err=True)
