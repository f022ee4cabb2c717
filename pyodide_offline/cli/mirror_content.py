"""`pyodide-offline mirror sync|import|export`: what a mirror holds, before anybody asks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyodide_offline.cli import kit_sign, kit_taking, mirror_serve, options
from pyodide_offline.cli.bars import megabytes, note

if TYPE_CHECKING:
    from pyodide_offline.features.mirror.locked import Want
    from pyodide_offline.features.mirror.serve import Settings
    from pyodide_offline.session import Session

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SYNC = """\b
Examples:
  pyodide-offline mirror sync package-lock.json uv.lock requirements.txt
  pyodide-offline mirror sync package-lock.json --all-platforms --store s3://bucket/mirror
  pyodide-offline mirror sync package-lock.json --mirror https://mirror.corp
"""
_IMPORT = """\b
Examples:
  pyodide-offline mirror import worker.kit --key kit.key.pub
"""
_EXPORT = """\b
Examples:
  pyodide-offline mirror export -o team.kit --sign kit.key
  pyodide-offline mirror export -o team.kit package-lock.json uv.lock
"""


@dataclass(frozen=True)
class Place:
    """A mirror's content as the options name it; None: in the store."""

    store: str | None
    cache: Path | None
    signing_key: Path | None
    trusted: tuple[str, ...]
    single: bool


def placing(function: F) -> F:
    """Add where the mirror's content lies, and with which keys; the command gets ``place``."""
    import functools

    @functools.wraps(function)
    def command(
        *arguments: Any,  # noqa: ANN401
        store: str | None,
        cache: Path | None,
        signing_key: Path | None,
        trusted: tuple[str, ...],
        single_front: bool,
        **named: Any,  # noqa: ANN401
    ) -> object:
        place = Place(store, cache, signing_key, trusted, single_front)
        return function(*arguments, place=place, **named)

    for option in (
        click.option("--single-front", is_flag=True, help="No other front uses this store."),
        click.option(
            "--trust-key",
            "trusted",
            multiple=True,
            metavar="KEY",
            help="Another front's key, its .pub line.",
        ),
        click.option(
            "--signing-key",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Signs what was seen first, as in serve.  [default: made, in the store]",
        ),
        click.option(
            "--cache",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="This front's own disk.  [default: a folder in the store]",
        ),
        click.option(
            "--store",
            metavar="URL",
            envvar="PYODIDE_OFFLINE_MIRROR_STORE",
            help="What all fronts share, as in serve.  [default: a folder in the store]",
        ),
    ):
        command = option(command)
    return options.storage(options.loudness(command))  # type: ignore[return-value]


@click.command(epilog=_SYNC)
@click.argument("locks", nargs=-1, required=True, metavar="LOCK...", type=_FILE)
@click.option("--all-platforms", is_flag=True, help="What every machine takes, not this one alone.")
@click.option(
    "--bundles/--no-bundles",
    default=True,
    help="The bundles that a workerd in the locks asks for, too.  [default: on]",
)
@click.option(
    "--mirror", metavar="URL", help="Fill one that runs there.  [default: the store's own]"
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="KIND=URL",
    help="npm, pypi, bundles or pyodide from there, as in serve.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A host besides the upstreams that files may come from.",
)
@options.proxying
@options.trusting
@placing
def sync(
    locks: tuple[Path, ...],
    all_platforms: bool,
    bundles: bool,
    mirror: str | None,
    upstreams: tuple[str, ...],
    hosts: tuple[str, ...],
    proxies: tuple[str, ...],
    pac: str | None,
    ca: tuple[Path, ...],
    place: Place,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Have a mirror fetch all that lock files name, before anybody asks for it.

    package-lock.json, uv.lock, pylock.toml, requirements with hashes; and the bundles that
    a workerd in them asks for. What cannot be had is told at the end; exit status 1 then.
    """
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import filling
    from pyodide_offline.features.mirror.locked import Fit
    from pyodide_offline.network import mirrored

    fit = Fit() if all_platforms else filling.here()
    wants = filling.wants(locks, fit)
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        quiet=quiet,
        plain=True,
        proxies=proxies,
        pac=pac,
        ca=ca,
        verbose=verbose,
    )
    settings = settings_of(session, place, upstreams, hosts)
    token = session.environ.get(mirrored.TOKEN_VARIABLE, "")
    into = mirrored.parse(mirror, token) if mirror else settings

    def heard(file: str) -> None:
        if verbose:
            note(file)

    report = filling.fill(session, into, wants, fit, heard, bundles=bundles)
    for fault in report.faults:
        note(f"Not to be had: {fault}")
    if not quiet:
        note(f"{report.files} files, {megabytes(report.size)}, are in the mirror")
    return 1 if report.faults else 0


@click.command("import", epilog=_IMPORT)
@click.argument("files", nargs=-1, required=True, metavar="KIT...", type=_FILE)
@placing
@kit_taking.trusting
def import_(
    files: tuple[Path, ...],
    terms: Any,  # noqa: ANN401 - kits.trust.Terms, loaded late
    place: Place,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Take in what a kit holds (or its volumes): verified, its signer trusted.

    A digest that the mirror knows already is never replaced: another one is an error.
    """
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import filling

    session = session_of(cache_dir, store_dir, quiet, verbose)
    came = filling.take(session, settings_of(session, place), files, terms)
    if verbose:
        for one in came.left_out:
            note(f"left out: {one}")
    if not quiet:
        note(f"{came.files} files, {megabytes(came.size)}, came into the mirror")


@click.command(epilog=_EXPORT)
@click.argument("locks", nargs=-1, metavar="[LOCK...]", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The kit to write.",
)
@click.option("--all-platforms", is_flag=True, help="Of locks: what every machine takes.")
@click.option("--name", default="mirror", show_default=True, help="The kit's name.")
@click.option("--serial", type=click.IntRange(min=0), default=1, help="Grows with each kit.")
@kit_sign.signing
@placing
def export(
    locks: tuple[Path, ...],
    output: Path,
    all_platforms: bool,
    name: str,
    serial: int,
    key_files: tuple[Path, ...],
    place: Place,
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write a kit of what the mirror holds, or of what lock files name of it."""
    mirror_serve.require_extra()
    from pyodide_offline.features.mirror import filling
    from pyodide_offline.features.mirror.locked import Fit

    session = session_of(cache_dir, store_dir, quiet, verbose)
    fit: Fit = Fit() if all_platforms else filling.here()
    only: list[Want] | None = filling.wants(locks, fit) if locks else None
    made = filling.give(
        session,
        settings_of(session, place),
        output.absolute(),
        name=name,
        serial=serial,
        keys=kit_sign.secret_keys(key_files),
        only=only,
    )
    if not quiet:
        note(f"{output}: {len(made.items)} archives, {megabytes(output.stat().st_size)}")


def session_of(
    cache_dir: Path | None, store_dir: Path | None, quiet: bool, verbose: bool
) -> "Session":
    """Return the session of a command that asks nobody."""
    return options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        offline=True,
        quiet=quiet,
        plain=True,
        verbose=verbose,
    )


def settings_of(
    session: "Session",
    place: Place,
    upstreams: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
) -> "Settings":
    """Return the settings of a front with this content."""
    from pyodide_offline.features.mirror.serve import Settings

    here = session.store.root / "mirror"
    return Settings(
        store=place.store or str(here / "depot"),
        cache=(place.cache or here / "cache").absolute(),
        upstreams=dict(mirror_serve.pair(one, "--upstream") for one in upstreams),
        hosts=hosts,
        offline=session.offline,
        signing_key=place.signing_key or here / "signing.key",
        trusted=place.trusted,
        single=place.single,
    )
