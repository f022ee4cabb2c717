"""A command of commands whose help says of each what it does, to the end of the sentence."""

import click

_LONGEST = 200  # characters of a first sentence; click cuts it where one line ends


class Group(click.Group):
    """A group with whole sentences in its list of commands."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: D102
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(_LONGEST)) for name, one in found if one]
            )
