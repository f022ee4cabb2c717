"""`pyodide-offline completion`: the script that a shell needs to complete our words."""

import click
from click.shell_completion import get_completion_class

_EPILOG = """\b
Examples:
  eval "$(pyodide-offline completion bash)"                                # in ~/.bashrc
  eval "$(pyodide-offline completion zsh)"                                 # in ~/.zshrc
  pyodide-offline completion fish > ~/.config/fish/completions/pyodide-offline.fish
"""


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"click cannot complete {shell}.")
    program = ctx.find_root().command
    click.echo(made(program, {}, "pyodide-offline", "_PYODIDE_OFFLINE_COMPLETE").source())
