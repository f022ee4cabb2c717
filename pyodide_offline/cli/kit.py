"""`pyodide-offline kit`: everything for a machine without any network, in one file."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from pyodide_offline.cli import kit_browser, kit_pack, kit_run, kit_sign, options, render, sizes
from pyodide_offline.cli.bars import megabytes
from pyodide_offline.cli.group import Group
from pyodide_offline.cli.kit_taking import placed, progress_of, total, trusting
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.reading import Head
from pyodide_offline.kits.trust import Terms
from pyodide_offline.progress import working

F = TypeVar("F", bound=Callable[..., Any])

_EPILOG = """\b
Examples:
  pyodide-offline kit pack -o my.kit --pin-now --sign kit.key
  pyodide-offline kit keygen kit.key
  pyodide-offline kit verify my.kit --key kit.key.pub
  pyodide-offline kit unpack my.kit --key kit.key.pub
  pyodide-offline kit split my.kit --volume-size 4000MiB
"""
_FILES = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
_KIT = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_STORE = click.option(
    "--store-dir",
    type=click.Path(path_type=Path),
    envvar="PYODIDE_OFFLINE_STORE_DIR",
    metavar="DIR",
    help="The durable store.  [default: in your cache folder]",
)


@click.group(cls=Group, epilog=_EPILOG)
def kit() -> None:
    """All for a machine without any network, in one signed file."""


kit.add_command(kit_pack.pack)
kit.add_command(kit_browser.browser)
kit.add_command(kit_run.run)
kit.add_command(kit_sign.keygen)
kit.add_command(kit_sign.sign)


@kit.command()
@_FILES
@trusting
@_STORE
@_JSON
@options.quietness
def verify(
    files: tuple[Path, ...], terms: Terms, store_dir: Path | None, as_json: bool, quiet: bool
) -> int:
    """Read all of a kit, or of its volumes, and list every fault.

    Exit status, added up: 1 corrupt, 2 untrusted, 4 incomplete.
    """
    from pyodide_offline.kits import places, starting, trust, unpacking

    known = trust.load(places.trust_file(os.environ))
    root = places.kits_dir(os.environ, store_dir)
    with working(progress_of(quiet), "verifying", total(files)) as advance:
        head, faults = unpacking.verify(files, known, terms, root=root, advance=advance)
    if as_json:
        render.as_json({"faults": [dataclasses.asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            click.echo(str(fault))
        if head and not faults and not quiet:
            click.echo(f"well: {_title(head.manifest.name, head.manifest.serial)}")
            if head.lacking:
                click.echo(f"not in this copy, for other platforms only: {len(head.lacking)}")
    return starting.bits(faults)


@kit.command()
@_FILES
@trusting
@_STORE
@options.quietness
def unpack(files: tuple[Path, ...], terms: Terms, store_dir: Path | None, quiet: bool) -> None:
    """Put a kit into the store and switch to it; all of it or nothing."""
    name, written, kept = placed(files, terms, store_dir, progress_of(quiet))
    if not quiet:
        plural = "" if written == 1 else "s"
        click.echo(f"{name}: {written} blob{plural} written, {kept} there before")


@kit.command()
@_STORE
def rollback(store_dir: Path | None) -> None:
    """Switch to the kit that was unpacked before this one."""
    from pyodide_offline.kits import places, unpacking

    click.echo(unpacking.rollback(places.kits_dir(os.environ, store_dir)).name)


@kit.command()
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="So many generations stay.",
)
@_STORE
def prune(keep: int, store_dir: Path | None) -> None:
    """Remove kits that were unpacked before, and what only they need."""
    from pyodide_offline.kits import places, unpacking

    gone, freed = unpacking.prune(places.kits_dir(os.environ, store_dir), keep)
    click.echo(f"{len(gone)} generations removed, {megabytes(freed)} freed")


@kit.command("list")
@_STORE
@_JSON
def list_(store_dir: Path | None, as_json: bool) -> None:
    """List the kits that are unpacked here; * marks the one that holds."""
    from pyodide_offline.kits import places, unpacking

    root = places.kits_dir(os.environ, store_dir)
    now, found = unpacking.current(root), unpacking.generations(root)
    if as_json:
        render.as_json([{"generation": one.name, "current": one == now} for one in found])
        return
    for one in found:
        title = _title(one.manifest.name, one.manifest.serial)
        click.echo(f"{'*' if one == now else ' '} {one.name}  {title}")


@kit.command()
@_FILES
@click.option("--sbom", is_flag=True, help="Print the list of components (CycloneDX).")
@_JSON
def inspect(files: tuple[Path, ...], sbom: bool, as_json: bool) -> None:
    """Show what a kit says of itself; its blobs are not read, nor its signer judged."""
    from pyodide_offline.kits import signature
    from pyodide_offline.kits.manifest import encode

    head = _head(files)
    manifest = head.manifest
    if sbom:
        click.echo(head.sbom, nl=False)
        return
    if as_json:
        click.echo(encode(manifest), nl=False)
        return
    click.echo(f"{_title(manifest.name, manifest.serial)}, made {manifest.created}")
    click.echo(f"manifest sha256:{hashlib.sha256(head.data).hexdigest()}")
    click.echo(f"kit.pyz  sha256:{hashlib.sha256(head.program).hexdigest()}")
    click.echo(f"for {', '.join(manifest.targets) or 'any platform'}")
    if not head.signatures:
        click.echo("nobody has signed it")
    for one in head.signatures:
        click.echo(f"says that it is signed by {signature.read(one).name}")
    if manifest.base:
        click.echo(f"needs the blobs of {manifest.base}: {len(manifest.omitted)}")
    render.table(
        ["KIND", "NAME", "VERSION", "SIZE", "SHA256"],
        [
            [one.kind, one.name, one.version, megabytes(one.size), one.sha256[:12]]
            for one in manifest.items
        ],
        right=[3],
    )


@kit.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> int:
    """Say what a kit has that another has not. Exit status 1 if they differ."""
    before = {one.key: one for one in _head((old,)).manifest.items}
    after = {one.key: one for one in _head((new,)).manifest.items}
    lines = [
        *(("-", before[key]) for key in before.keys() - after.keys()),
        *(("+", after[key]) for key in after.keys() - before.keys()),
        *(("~", after[key]) for key in before.keys() & after.keys()
          if before[key].sha256 != after[key].sha256),
    ]  # fmt: skip
    for mark, item in sorted(lines, key=lambda line: (line[1].key, line[0])):
        click.echo(f"{mark} {item.kind} {item.name} {item.version}  {megabytes(item.size)}")
    return 1 if lines else 0


@kit.command()
@_KIT
@click.option(
    "--volume-size",
    callback=sizes.parsed,
    required=True,
    metavar="SIZE",
    help="At most this: 700MB, 4000MiB.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the volumes.")
def split(file: Path, volume_size: int, output: Path | None) -> None:
    """Write a kit as volumes for smaller media; they are read in place, in any order."""
    from pyodide_offline.kits import writing

    for path in writing.split(file, (output or file.parent) / file.name, volume_size):
        click.echo(path)


@kit.command()
@_FILES
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The kit.")
@click.option("--serial", type=int, help="The new kit's.  [default: the highest of theirs]")
@kit_sign.signing
def merge(
    files: tuple[Path, ...], output: Path, serial: int | None, key_files: tuple[Path, ...]
) -> None:
    """Write a kit that has all of several; their signatures are not carried over."""
    from pyodide_offline.kits import comparing, layout, writing

    heads = {file: _head((file,)) for file in files}
    blobs = {
        name: writing.Span(file, at)
        for file, head in heads.items()
        for name, at in layout.places(head.manifest, head.data, head.signatures).items()
    }
    manifest = comparing.merged([head.manifest for head in heads.values()], serial)
    done = writing.write(output, manifest, blobs, keys=kit_sign.secret_keys(key_files))
    click.echo(f"{output}: {_title(done.name, done.serial)}, {_count(done.items)}")


@kit.command()
@_FILES
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The kit.")
def join(files: tuple[Path, ...], output: Path) -> None:
    """Put volumes together to the kit that they were."""
    from pyodide_offline.kits import writing

    manifest = writing.join(files, output).manifest
    click.echo(f"{output}: {_title(manifest.name, manifest.serial)}, {_count(manifest.items)}")


def _head(files: tuple[Path, ...]) -> Head:
    from pyodide_offline.kits import volumes

    return volumes.head(files)


def _count(items: Sequence[Item]) -> str:
    return f"{len(items)} item{'' if len(items) == 1 else 's'}"


def _title(name: str, serial: int) -> str:
    return f"{name}, serial {serial}"
