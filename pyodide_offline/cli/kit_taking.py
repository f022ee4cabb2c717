"""Taking a kit: whom it may be from, and putting it into the store."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pyodide_offline.cli import options
from pyodide_offline.kits.trust import Terms
from pyodide_offline.progress import Progress, working

F = TypeVar("F", bound=Callable[..., Any])


def trusting(function: F) -> F:
    """Add what says whom a kit is taken from; the command gets ``terms``."""
    import functools

    @functools.wraps(function)
    def command(
        *arguments: Any,  # noqa: ANN401
        keys: tuple[str, ...],
        first_use: bool,
        unsigned: bool,
        downgrade: bool,
        need: int | None,
        **named: Any,  # noqa: ANN401
    ) -> object:
        from pyodide_offline.kits import starting

        terms = starting.terms(
            keys, first_use=first_use, unsigned=unsigned, downgrade=downgrade, need=need
        )
        return function(*arguments, terms=terms, **named)

    for option in (
        click.option(
            "--allow-downgrade",
            "downgrade",
            is_flag=True,
            help="Take a lower serial than was here before.",
        ),
        click.option(
            "--allow-unsigned", "unsigned", is_flag=True, help="Take a kit that nobody signed."
        ),
        click.option(
            "--trust-on-first-use",
            "first_use",
            is_flag=True,
            help="Take the key that the kit offers, and no other later.",
        ),
        click.option(
            "--need",
            type=int,
            metavar="N",
            help="So many keys must have signed it.  [default: as many as before, or 1]",
        ),
        click.option(
            "--key",
            "keys",
            multiple=True,
            metavar="KEY|FILE",
            help="Public key that the kit must be signed with; one of them, if it is repeated.",
        ),
    ):
        command = option(command)
    return command  # type: ignore[return-value]


def placed(
    files: tuple[Path, ...], terms: Terms, store_dir: Path | None, progress: Progress
) -> tuple[str, int, int]:
    """Unpack a kit; return its generation, and the blobs written and there before.

    Raises UntrustedError or IntegrityError for one that is refused.
    """
    from pyodide_offline.kits import places, starting, unpacking

    root, trusted = places.kits_dir(os.environ, store_dir), places.trust_file(os.environ)
    with working(progress, "unpacking", total(files)) as advance:
        done = unpacking.unpack(files, root, trusted, terms, advance=advance)
    if done.generation is None:
        raise starting.refused(done.faults)
    return done.generation.name, done.written, done.kept


def total(files: tuple[Path, ...]) -> int | None:
    """Return the bytes of regular files; a pipe has none that anybody knows."""
    if not all(file.is_file() for file in files):
        return None
    return sum(file.stat().st_size for file in files)


def progress_of(quiet: bool) -> Progress:
    """Return the bars of a command that needs no session."""
    return options.session(cache_dir=None, store_dir=None, quiet=quiet).progress
