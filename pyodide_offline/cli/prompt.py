"""A proxy's login, asked of the person at the terminal when no other place has it.

Only on a terminal and outside of CI, after the proxy has asked, once a proxy. The command
that failed for it is then begun again; what was typed is in memory only.
"""

import os
import sys

import click


def answered() -> bool:
    """Ask for the logins that the command missed; say whether there is a new one."""
    credentials = sys.modules.get("pyodide_offline.network.credentials")
    if credentials is None or not _attended():
        return False
    told = False
    for upstream in credentials.wanted():
        click.echo(f"The proxy {upstream} wants a login ({upstream.origin} names it).", err=True)
        user = upstream.user or click.prompt("  User", err=True, default="", show_default=False)
        if not user:
            continue
        secret = click.prompt(
            f"  Password of {user}", err=True, hide_input=True, default="", show_default=False
        )
        credentials.typed(upstream, user, secret)
        told = True
    return told


def _attended() -> bool:
    """Say whether a person is there: not in a pipe, not in CI."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
