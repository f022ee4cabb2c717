"""Options that several commands share, and the session made of them."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from pyodide_offline import paths
from pyodide_offline.errors import SettingsError
from pyodide_offline.progress import Progress, Silent
from pyodide_offline.session import Session
from pyodide_offline.store import Store

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def storage(function: F) -> F:
    """Add --store-dir and --cache-dir."""
    for option in (
        click.option(
            "--cache-dir",
            type=click.Path(path_type=Path),
            envvar=paths.CACHE_VARIABLE,
            metavar="DIR",
            help="Folder that workerd reads bundles from.  [default: /tmp/pyodide-cache]",
        ),
        click.option(
            "--store-dir",
            type=click.Path(path_type=Path),
            envvar=paths.STORE_VARIABLE,
            metavar="DIR",
            help="The durable store.  [default: in your cache folder]",
        ),
    ):
        function = option(function)
    return function


def quietness(function: F) -> F:
    """Add -q."""
    return click.option(
        "-q",
        "--quiet",
        is_flag=True,
        envvar="PYODIDE_OFFLINE_QUIET",
        help="Say nothing but errors.",
    )(function)


def loudness(function: F) -> F:
    """Add -q and -v."""
    return quietness(click.option("-v", "--verbose", is_flag=True, help="Say more.")(function))


def bringing(function: F) -> F:
    """Add --offline and --wrangler."""
    for option in (
        click.option(
            "--wrangler",
            envvar="PYODIDE_OFFLINE_WRANGLER",
            metavar="VERSION",
            help="Version of wrangler to bring where the project has none.",
        ),
        click.option(
            "--offline",
            is_flag=True,
            envvar="PYODIDE_OFFLINE_OFFLINE",
            help="Make no request: use what is in the store.",
        ),
    ):
        function = option(function)
    return function


def supplying(function: F) -> F:
    """Add what ``bringing`` adds, --bundle and --python."""
    for option in (
        click.option(
            "--python",
            type=click.Choice(["3.13", "3.14"]),
            envvar="PYODIDE_OFFLINE_PYTHON_VERSION",
            help="Run on this Python, whatever the compatibility date says.",
        ),
        click.option(
            "--bundle",
            type=click.Choice(["auto", "official", "npm"]),
            default="auto",
            show_default=True,
            envvar="PYODIDE_OFFLINE_BUNDLE",
            help="Where Pyodide may come from.",
        ),
    ):
        function = option(function)
    return bringing(function)


def proxying(function: F) -> F:
    """Add --proxy and --pac."""
    for option in (
        click.option(
            "--pac",
            envvar="PYODIDE_OFFLINE_PAC",
            metavar="FILE|URL",
            help="A script that tells the proxy for each host.",
        ),
        click.option(
            "--proxy",
            "proxies",
            multiple=True,
            envvar="PYODIDE_OFFLINE_PROXY",
            metavar="URL",
            help="Through this proxy; several are tried in order.",
        ),
    ):
        function = option(function)
    return function


def mirroring(function: F) -> F:
    """Add --mirror."""
    return click.option(
        "--mirror",
        envvar="PYODIDE_OFFLINE_MIRROR",
        metavar="URL",
        help="Take all archives from this mirror (see mirror serve).",
    )(function)


def trusting(function: F) -> F:
    """Add --ca."""
    return click.option(
        "--ca",
        "ca",
        type=click.Path(path_type=Path),
        multiple=True,
        envvar=paths.CA_VARIABLE,
        metavar="FILE",
        help="Trust this CA file or folder too; may be repeated.",
    )(function)


def naming(function: F) -> F:
    """Add --by-address and --resolver."""
    for option in (
        click.option(
            "--resolver",
            "resolver",
            multiple=True,
            envvar="PYODIDE_OFFLINE_RESOLVER",
            metavar="URL",
            help="Whom to ask over HTTPS, as in resolve.",
        ),
        click.option(
            "--by-address",
            is_flag=True,
            help="Look targets up over HTTPS, always.  [default: where nobody else knows them]",
        ),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class Reach:
    """By which ways a command reaches others, whom it trusts, and where it keeps things."""

    proxies: tuple[str, ...]
    pac: str | None
    ca: tuple[Path, ...]
    cache_dir: Path | None
    store_dir: Path | None
    mirror: str | None = None

    def session(
        self,
        *,
        project: Path | None = None,
        offline: bool = False,
        quiet: bool = False,
        plain: bool = False,
        verbose: bool = False,
    ) -> Session:
        """Make the command's session; its programs go the same ways, and trust the same."""
        return session(
            cache_dir=self.cache_dir,
            store_dir=self.store_dir,
            project=project,
            offline=offline,
            quiet=quiet,
            plain=plain,
            proxies=self.proxies,
            pac=self.pac,
            ca=self.ca,
            mirror=self.mirror,
            hand_on=True,
            verbose=verbose,
        )


def reaching(function: F) -> F:
    """Add what ``proxying``, ``trusting`` and ``storage`` add; the command gets ``reach``.

    Above it ``mirroring`` may stand, whose option is a part of it then.
    """

    @functools.wraps(function)
    def command(
        *arguments: Any,  # noqa: ANN401
        proxies: tuple[str, ...],
        pac: str | None,
        ca: tuple[Path, ...],
        cache_dir: Path | None,
        store_dir: Path | None,
        mirror: str | None = None,
        **named: Any,  # noqa: ANN401
    ) -> object:
        reach = Reach(proxies, pac, ca, cache_dir, store_dir, mirror)
        return function(*arguments, reach=reach, **named)

    return proxying(trusting(storage(command)))  # type: ignore[return-value]


def as_json(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(function)


def parsed(parse: Callable[[str], T], text: str, option: str) -> T:
    """Return what a text means; wrong use of the option if it means nothing."""
    try:
        return parse(text)
    except SettingsError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def session(
    *,
    cache_dir: Path | None,
    store_dir: Path | None,
    project: Path | None = None,
    offline: bool = False,
    quiet: bool = False,
    plain: bool = False,
    proxies: tuple[str, ...] = (),
    pac: str | None = None,
    ca: Sequence[Path] | None = None,
    mirror: str | None = None,
    hand_on: bool = False,
    verbose: bool = False,
) -> Session:
    """Make the session of one command.

    ``ca`` is what --ca says; not None, all programs of the session trust the same. With
    ``hand_on`` they are told of --proxy, too. With ``mirror`` all of it asks that mirror.
    """
    environ = dict(os.environ)
    if hand_on and proxies:
        from pyodide_offline.network import inherited

        environ = inherited.environment(environ, proxies)
    if hand_on and (resolvers := _resolvers()):
        environ.setdefault("PYODIDE_OFFLINE_RESOLVER", " ".join(resolvers))
    store = Store(store_dir.expanduser().absolute() if store_dir else paths.store_dir(environ))
    progress = _progress(quiet=quiet, plain=plain)
    if ca is not None:
        environ = _trusting(environ, store, project or Path.cwd(), ca, progress)
    if mirror:
        environ = _mirrored(environ, store, mirror, (project or Path.cwd()).absolute())
    return Session(
        store=store,
        environ=environ,
        project=(project or Path.cwd()).absolute(),
        cache_dir=(
            cache_dir.expanduser().absolute() if cache_dir else paths.bundle_cache_dir(environ)
        ),
        offline=offline,
        proxies=proxies,
        pac=pac or "",
        progress=progress,
        verbose=verbose,
    )


def _mirrored(environ: dict[str, str], store: Store, mirror: str, project: Path) -> dict[str, str]:
    """Return the environment for this mirror, after CA files of settings that it leaves out."""
    from pyodide_offline.network import mirrored

    token = environ.get(mirrored.TOKEN_VARIABLE, "").strip()
    return mirrored.environment(store, environ, mirrored.parse(mirror, token), project)


def _resolvers() -> Sequence[str]:
    """Return what a config file says, which has an option in other commands only."""
    context = click.get_current_context(silent=True)
    found: Sequence[str] = ((context and context.default_map) or {}).get("resolver", ())
    return found


def _trusting(
    environ: dict[str, str], store: Store, project: Path, ca: Sequence[Path], progress: Progress
) -> dict[str, str]:
    from pyodide_offline.network import cafile, configured

    if ca:
        named = (str(one.expanduser().absolute()) for one in ca)
        environ = {**environ, paths.CA_VARIABLE: os.pathsep.join(named)}
    settings = configured.sources(environ, project.absolute())
    return cafile.environment(store, environ, progress.note, settings)


def _progress(*, quiet: bool, plain: bool) -> Progress:
    if quiet:
        return Silent()
    from pyodide_offline.cli.bars import Bars, Lines

    # stderr: what a command answers on stdout stays clean.
    terminal = sys.stderr.isatty() and not plain and not os.environ.get("CI")
    return Bars() if terminal else Lines()
