"""`pyodide-offline kit pack`: a project's locks → one file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import options
from pyodide_offline.cli.bars import megabytes, note

if TYPE_CHECKING:
    from pyodide_offline.kits.reading import Head
    from pyodide_offline.kits.signing import SecretKey

PASSPHRASE_VARIABLE = "PYODIDE_OFFLINE_KIT_PASSPHRASE"  # noqa: S105 - a variable's name

_EPILOG = """\b
Examples:
  pyodide-offline kit pack -o worker.kit --pin-now --sign kit.key
  pyodide-offline kit pack ../worker -o worker.kit --target linux-arm64
"""


@click.command(epilog=_EPILOG)
@click.argument(
    "project", type=click.Path(exists=True, file_okay=False, path_type=Path), default="."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The kit to write.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PLATFORM",
    help="linux-x64, linux-arm64, darwin-arm64, darwin-x64 or win32-x64; may be repeated.  "
    "[default: this machine's]",
)
@click.option(
    "--target-python",
    metavar="X.Y",
    default="",
    help="The Python of the machine that it is for.  [default: the one that runs this]",
)
@click.option(
    "--pin-now", is_flag=True, help="Take today's versions of what no lock of the project names."
)
@click.option(
    "--sign",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sign it with this secret key (see kit keygen).",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    metavar="KIT",
    help="Leave out what this kit has; it must be unpacked first.",
)
@click.option("--name", default="", help="The kit's name.  [default: the folder's]")
@click.option("--serial", type=click.IntRange(min=0), default=1, help="Grows with each kit.")
@options.proxying
@options.trusting
@options.storage
@click.option("--offline", is_flag=True, help="Make no request: use what is in the store.")
@options.quietness
def pack(
    project: Path,
    output: Path,
    targets: tuple[str, ...],
    target_python: str,
    pin_now: bool,
    key_file: Path | None,
    base: Path | None,
    name: str,
    serial: int,
    proxies: tuple[str, ...],
    pac: str | None,
    ca: tuple[Path, ...],
    cache_dir: Path | None,
    store_dir: Path | None,
    offline: bool,
    quiet: bool,
) -> None:
    """Pack all that a project's Python worker needs into one file.

    Archives are kept as their makers published them, checked against the locks' own digests.
    """
    from pyodide_offline.features.kit import pack as feature

    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        project=project.resolve(),
        offline=offline,
        quiet=quiet,
        proxies=proxies,
        pac=pac,
        ca=ca,
        hand_on=True,
    )
    order = feature.Order(targets, target_python, pin_now, name, serial)
    key = secret_key(key_file)
    made = feature.pack(session, output.absolute(), order, key=key, base=_head(base))
    if not quiet:
        program = made.parts["kit.pyz"].sha256
        size = megabytes(output.stat().st_size)
        note(f"{output}: {len(made.items)} archives, {size}, for {', '.join(made.targets)}")
        note(f"kit.pyz in it has sha256:{program}")


def _head(kit: Path | None) -> "Head | None":
    from pyodide_offline.kits.volumes import head

    return None if kit is None else head([kit])


def secret_key(file: Path | None) -> "SecretKey | None":
    """Load a signing key; its passphrase is asked for only if it has one."""
    from pyodide_offline.kits import signing

    if file is None:
        return None
    return signing.load(file, passphrase() if signing.locked(file) else "")


def passphrase(*, confirm: bool = False) -> str:
    """Return the variable's passphrase, else the one that a person types."""
    named = os.environ.get(PASSPHRASE_VARIABLE)
    if named is not None:
        return named
    found: str = click.prompt(
        "Passphrase of the key", hide_input=True, confirmation_prompt=confirm, err=True
    )
    return found
