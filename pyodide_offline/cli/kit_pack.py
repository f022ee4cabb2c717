"""`pyodide-offline kit pack`: a project's locks → one file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyodide_offline.cli import kit_sign, options, sizes
from pyodide_offline.cli.bars import megabytes, note

if TYPE_CHECKING:
    from pyodide_offline.kits.reading import Head

_EPILOG = """\b
Examples:
  pyodide-offline kit pack -o worker.kit --pin-now --sign kit.key
  pyodide-offline kit pack ../worker -o worker.kit --target linux-arm64
  pyodide-offline kit pack --browser site -o site.kit    # no worker, outside a project
"""


@click.command(epilog=_EPILOG)
@click.argument(
    "project", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False
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
@kit_sign.signing
@click.option(
    "--volume-size",
    callback=sizes.parsed,
    metavar="SIZE",
    help="Write volumes of at most this, FILE.001 and so on: 700MB, 4000MiB.",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    metavar="KIT",
    help="Leave out what this kit has; it must be unpacked first.",
)
@click.option(
    "--browser",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="A folder of `browser build` that comes along; may be repeated.",
)
@click.option(
    "--snapshot/--no-snapshot",
    "memory",
    default=True,
    help="Bring the memory of the worker's packages, for a quicker first start.",
)
@click.option(
    "--native-python",
    "native",
    is_flag=True,
    help="Bring a native Python of the worker's version, too, as uv fetches it (some 35 MB).",
)
@click.option("--name", default="", help="The kit's name.  [default: the folder's]")
@click.option("--serial", type=click.IntRange(min=0), default=1, help="Grows with each kit.")
@options.reaching
@click.option("--offline", is_flag=True, help="Make no request: use what is in the store.")
@options.quietness
def pack(
    project: Path | None,
    output: Path,
    targets: tuple[str, ...],
    target_python: str,
    pin_now: bool,
    key_files: tuple[Path, ...],
    volume_size: int | None,
    base: Path | None,
    folders: tuple[Path, ...],
    memory: bool,
    native: bool,
    name: str,
    serial: int,
    reach: options.Reach,
    offline: bool,
    quiet: bool,
) -> None:
    """Pack all that a project's Python worker needs into one file.

    Archives are kept as their makers published them, checked against the locks' own digests.
    Without PROJECT it is the one here; where there is none, --browser packs its folders alone.
    """
    from pyodide_offline.features.kit import pack as feature
    from pyodide_offline.workers.project import find_config

    alone = bool(folders) and project is None and find_config(Path.cwd()) is None
    session = reach.session(
        project=(project or Path()).resolve(),
        offline=offline,
        quiet=quiet,
    )
    for folder in folders:
        _built(folder)
    order = feature.Order(
        targets,
        target_python,
        pin_now,
        name,
        serial,
        folders,
        alone=alone,
        memory=memory,
        native=native,
    )
    keys = kit_sign.secret_keys(key_files)
    target = output.absolute()
    made = feature.pack(
        session, target, order, keys=keys, base=_head(base), volume_size=volume_size
    )
    if not quiet:
        files = _volumes(output) if volume_size else [output]
        size = megabytes(sum(file.stat().st_size for file in files))
        where = f"{files[0]} to {files[-1].name}" if volume_size else output
        plural = "" if len(made.items) == 1 else "s"
        fit = ", ".join(made.targets) or "any platform"
        note(f"{where}: {len(made.items)} archive{plural}, {size}, for {fit}")
        note(f"kit.pyz in it has sha256:{made.parts['kit.pyz'].sha256}")


def _volumes(output: Path) -> list[Path]:
    from pyodide_offline.kits import cutting, volumes

    first = volumes.read(cutting.names(output, 1)[0])
    return cutting.names(output, first.count if first else 1)


def _head(kit: Path | None) -> "Head | None":
    from pyodide_offline.kits.volumes import head

    return None if kit is None else head([kit])


def _built(root: Path) -> None:
    """Raise IntegrityError for a folder that is not as `browser build` made it."""
    from pyodide_offline.errors import IntegrityError
    from pyodide_offline.features.browser import folder

    if faults := folder.faults(folder.read(root)):
        first, more = faults[0], len(faults) - 1
        raise IntegrityError(
            f"{root} is not as it was built: {first.name} is {first.reason}."
            + (f" ({more} more)" if more else ""),
            next_step="Build it anew: pyodide-offline browser build",
        )
