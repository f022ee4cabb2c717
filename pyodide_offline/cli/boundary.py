"""Where errors end: one to three lines for a person, an exit status for a script."""

import atexit
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
# What click raises for a group without a command, from its 8.2 on.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


def guarded(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command group; turn every error into lines and a status."""
    try:
        status = _run(arguments)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except click.UsageError as error:
        _misuse(error)
        sys.exit(error.exit_code)
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


def leave(end: SystemExit) -> NoReturn:
    """End the process with this status.

    Where an object store was asked, without the interpreter's own end: a thread of obstore's
    that wants the interpreter just then aborts the process, one time in five on a busy machine
    (PyO3/pyo3-async-runtimes, issue 40). What is to be done at exit is done, output is written.
    """
    if "obstore" not in sys.modules or not isinstance(end.code, int):
        raise end
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:  # nobody reads any more
        os._exit(end.code or 141)
    os._exit(end.code)


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
    _say(error.code, error.what, error.why, error.next_step)


def _misuse(error: click.UsageError) -> None:
    """Print wrong use as any other error; where nothing at all was said, the help."""
    context = error.ctx
    if context is None or isinstance(error, _HELP):
        error.show()
        return
    usage = " ".join(context.get_usage().split())
    what = error.format_message()
    if source := _source(context, error):
        what = f"{what.rstrip('.')}. That is from {source}."
    _say("usage", what, usage, f"Type: {context.command_path} --help")


def _source(context: click.Context, error: click.UsageError) -> str:
    """Return where a value stands that nobody typed: a variable, or a file of settings."""
    option = error.param if isinstance(error, click.BadParameter) else None
    if option is None or option.name is None:
        return ""
    source = context.get_parameter_source(option.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return "a settings file (pyproject.toml, config.toml)"
    return ""


def _say(code: str, *parts: str) -> None:
    """Print what, why and the next step on standard error."""
    texts = [redact.text(part) for part in parts]
    if _json_wanted():
        record = dict(zip(("what", "why", "next_step"), texts, strict=True))
        click.echo(json.dumps({"error": {"code": code, **record}}), err=True)
        return
    head = click.style("error", fg="red", bold=True)
    click.echo(f"{head}[{code}]: {texts[0]}", err=True, color=colour())
    for text in texts[1:]:
        if text:
            click.echo(f"  {text}", err=True)


def _json_wanted() -> bool:
    context = click.get_current_context(silent=True)
    if context and context.params.get("as_json"):
        return True
    own = sys.argv[: sys.argv.index("--")] if "--" in sys.argv else sys.argv
    return "--json" in own


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
