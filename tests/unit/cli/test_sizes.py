"""Sizes as people write them."""

import click
import pytest

from pyodide_offline.cli import sizes
from pyodide_offline.cli.kit import split

CONTEXT, OPTION = click.Context(split), split.params[1]


def test_sizes_are_read_with_their_units():
    read = [sizes.parsed(CONTEXT, OPTION, text) for text in ("7", "700MB", "4KiB", "1 g", None)]
    assert read == [7, 700_000_000, 4096, 1_000_000_000, None]


@pytest.mark.parametrize("text", ["", "MB", "1.5GB", "-1", "1TB"])
def test_what_is_no_size_is_told(text):
    with pytest.raises(click.BadParameter):
        sizes.parsed(CONTEXT, OPTION, text)
