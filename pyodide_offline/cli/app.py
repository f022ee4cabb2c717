"""The command group. It prints its help from its own table, so that ``--help`` loads no command."""

import importlib

import click

from pyodide_offline import __version__
from pyodide_offline.cli.boundary import colour

# Name → (module and object, the line in the help). A test compares table and commands.
COMMANDS = {
    "run": ("run:run", "Run a command with all that it needs: pywrangler dev, wrangler dev, …"),
    "env": ("env:env", "Print the variables that run would set."),
    "prefetch": ("prefetch:prefetch", "Fill the store with all that a worker needs."),
    "tunnel": ("tunnel:tunnel", "Lead ports of this machine to named hosts, through the proxy."),
    "exec": ("exec:confined", "Run a command that reaches its targets only, without root."),
    "cache": ("cache:cache", "List, verify and prune what is stored."),
    "toolchain": ("toolchain:toolchain", "Show or install Node, wrangler, uv and pywrangler."),
    "patch": ("patch:patch", "Put workerd's cache flags into miniflare, or take them out."),
    "resolve": ("resolve:resolve", "Find addresses, over HTTPS where DNS does not answer."),
    "doctor": ("doctor:doctor", "Say what is broken, whose fault it is, and what to type."),
    "browser": ("browser:browser", "Make, serve and verify Pyodide in a folder, for a browser."),
    "kit": ("kit:kit", "All for a machine without any network, in one signed file."),
    "mirror": ("mirror:mirror", "Packages and bundles for a team: fetched once, verified."),
    "completion": ("completion:completion", "Print the completion script of a shell."),
}
_EPILOG = """\b
Examples:
  pyodide-offline run -- pywrangler dev
  pyodide-offline prefetch
  pyodide-offline run --offline -- npx wrangler dev --port 8788
  pyodide-offline cache list -v
"""


class LazyGroup(click.Group):
    """Loads the module of a command only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, D102
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"pyodide_offline.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def resolve_command(  # noqa: D102
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = "".join(
                f" Did you mean {one!r}?" for one in get_close_matches(args[0], COMMANDS, 1)
            )
            raise click.UsageError(f"There is no command {args[0]!r}.{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002, D102
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="pyodide-offline")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Run Cloudflare Python Workers and Pyodide where the network is against it."""
    from pyodide_offline.cli.settings import defaults

    ctx.color = colour()
    ctx.default_map = defaults(COMMANDS)
