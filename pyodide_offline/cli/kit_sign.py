"""`pyodide-offline kit keygen|sign`: keys, and signatures that a kit gets afterwards."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyodide_offline.errors import SettingsError

if TYPE_CHECKING:
    from pyodide_offline.kits.signing import SecretKey

F = TypeVar("F", bound=Callable[..., Any])
PASSPHRASE_VARIABLE = "PYODIDE_OFFLINE_KIT_PASSPHRASE"  # noqa: S105 - a variable's name

_EPILOG = """\b
Examples:
  pyodide-offline kit sign my.kit --key second.key
  minisign -S -s third.key -m manifest.json -t 'kit NAME serial 7'
  pyodide-offline kit sign my.kit --signature manifest.json.minisig
"""


def signing(function: F) -> F:
    """Add --sign."""
    return click.option(
        "--sign",
        "key_files",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Sign it with this secret key (see kit keygen); may be repeated.",
    )(function)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--no-passphrase", is_flag=True, help="Leave the key open.")
def keygen(file: Path, no_passphrase: bool) -> None:
    """Make a key that signs kits; the public one lies beside it (.pub)."""
    from pyodide_offline.kits import signing

    phrase = "" if no_passphrase else passphrase(confirm=True)
    key = signing.generate()
    signing.save(key, file, phrase)
    click.echo(f"{file}: keep it; {file.name}.pub: give it to those who get kits")
    click.echo(key.public.line)


@click.command(epilog=_EPILOG)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Secret key (see kit keygen); may be repeated.",
)
@click.option(
    "--signature",
    "signature_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Signature of its manifest.json that was made elsewhere; may be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The kit to write.  [default: in place of the old one]",
)
def sign(
    file: Path,
    key_files: tuple[Path, ...],
    signature_files: tuple[Path, ...],
    output: Path | None,
) -> None:
    """Add signatures to a kit; those that it has stay.

    Its blobs are compared with its manifest meanwhile. Whoever signs elsewhere needs its
    manifest.json only.
    """
    from pyodide_offline.kits import signature, volumes, writing

    if not key_files and not signature_files:
        raise SettingsError("Nothing signs.", next_step="Name --key or --signature.")
    head = volumes.head([file])
    new = [key.sign(head.data, head.manifest.comment) for key in secret_keys(key_files)]
    new += [one.read_bytes() for one in signature_files]
    done = writing.signed(file, output or file, new)
    names = ", ".join(signature.read(one).name for one in done.signatures)
    click.echo(f"{output or file}: signed by {names}")


def secret_keys(files: Sequence[Path]) -> "list[SecretKey]":
    """Load signing keys; a passphrase is asked for only where one is needed."""
    from pyodide_offline.kits import signing

    return [
        signing.load(file, passphrase(file.name) if signing.locked(file) else "") for file in files
    ]


def passphrase(name: str = "the key", *, confirm: bool = False) -> str:
    """Return the variable's passphrase, else the one that a person types."""
    named = os.environ.get(PASSPHRASE_VARIABLE)
    if named is not None:
        return named
    found: str = click.prompt(
        f"Passphrase of {name}", hide_input=True, confirmation_prompt=confirm, err=True
    )
    return found
