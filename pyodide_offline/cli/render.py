"""One value → a table or JSON on standard output."""

import json
from collections.abc import Sequence

import click


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print rows in aligned columns; ``right`` names the columns with numbers.

    Plain text: it is read by grep and awk as often as by people.
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for place, line in enumerate(lines):
        cells = [
            text.rjust(widths[column]) if column in right else text.ljust(widths[column])
            for column, text in enumerate(line)
        ]
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if place == 0 else text)


def as_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
