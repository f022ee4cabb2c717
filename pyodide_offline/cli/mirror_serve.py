"""`pyodide-offline mirror serve`: one front."""

from pathlib import Path

import click

from pyodide_offline.cli import options
from pyodide_offline.errors import ToolchainError

# What the extra brings, by the modules that are imported.
_EXTRA = ("granian", "obstore", "prometheus_client", "starlette")
_EPILOG = """\b
Examples:
  pyodide-offline mirror serve
  pyodide-offline mirror serve --upstream npm=https://npm.example/ --upstream pypi=https://py.example/simple/
  npm ci --registry http://127.0.0.1:8417/npm/
  pip install --index-url http://127.0.0.1:8417/simple/ NAME
"""


def require_extra() -> None:
    """Raise ToolchainError where the packages of the extra are not installed."""
    import importlib.util

    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ToolchainError(
            f"A mirror needs packages that are not installed: {', '.join(missing)}.",
            next_step="Type: pip install 'pyodide-offline[mirror]'",
        )


@click.command(epilog=_EPILOG)
@click.option(
    "--store",
    metavar="URL",
    envvar="PYODIDE_OFFLINE_MIRROR_STORE",
    help="What all fronts share: a folder, s3://…, oci://….  [default: a folder in the store]",
)
@click.option(
    "--listen",
    default="127.0.0.1:8417",
    show_default=True,
    metavar="ADDRESS",
    help="HOST:PORT or unix:PATH; port 0 is any free one.",
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="KIND=URL",
    help="npm, pypi, bundles or pyodide from there; npm's and pip's settings otherwise.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A host besides the upstreams that files may come from.",
)
@click.option("--offline", is_flag=True, help="Ask no upstream: serve what is held.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="This front's own disk.  [default: a folder in the store]",
)
@click.option(
    "--cache-size",
    default="20G",
    show_default=True,
    metavar="SIZE",
    help="Its most, as 500M or 2G.",
)
@click.option(
    "--fresh",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an index is not asked for again.",
)
@click.option(
    "--base-url", default="", metavar="URL", help="The address that clients have of this mirror."
)
@click.option(
    "--tls-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Serve https with this certificate (PEM, its chain in it).",
)
@click.option(
    "--tls-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The certificate's key.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A host name that clients have for it; addresses need none.",
)
@click.option(
    "--insecure-listen", is_flag=True, help="Another address than loopback, without TLS here."
)
@click.option(
    "--tokens",
    "token_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where its tokens are; with one in it, all need one.  [default: that of mirror token]",
)
@click.option("--open-bundles", is_flag=True, help="workerd's bundles need no token.")
@click.option("--behind-proxy", is_flag=True, help="Clients' addresses are in X-Forwarded-For.")
@click.option(
    "--signing-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Signs what was seen first; the same for all fronts.  [default: made, in the store]",
)
@click.option(
    "--trust-key",
    "trusted",
    multiple=True,
    metavar="KEY",
    help="Another front's key, its .pub line.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=1000.0,
    show_default=True,
    help="Requests a second of one client, in the long run; 0 is any number.",
)
@click.option("--single-front", is_flag=True, help="No other front uses this store.")
@click.option(
    "--x-accel",
    "accel",
    multiple=True,
    metavar="/PREFIX/=DIR",
    help="Behind nginx: let it send what lies in DIR, which it has at /PREFIX/.",
)
@click.option(
    "--nginx-root",
    "links",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Behind nginx: keep links to held files in DIR, which it sends without asking.",
)
@options.proxying
@options.trusting
@options.storage
@options.loudness
def serve(
    store: str | None,
    listen: str,
    upstreams: tuple[str, ...],
    hosts: tuple[str, ...],
    offline: bool,
    cache: Path | None,
    cache_size: str,
    fresh: float,
    base_url: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    names: tuple[str, ...],
    insecure_listen: bool,
    token_file: Path | None,
    open_bundles: bool,
    behind_proxy: bool,
    signing_key: Path | None,
    trusted: tuple[str, ...],
    rate: float,
    single_front: bool,
    accel: tuple[str, ...],
    links: Path | None,
    proxies: tuple[str, ...],
    pac: str | None,
    ca: tuple[Path, ...],
    cache_dir: Path | None,
    store_dir: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Serve npm's and Python's packages, Pyodide and workerd's bundles, each fetched once.

    Ends with Ctrl-C or SIGTERM, after what is under way.
    """
    require_extra()
    from pyodide_offline.features.mirror import access, listening, tokens
    from pyodide_offline.features.mirror import serve as feature
    from pyodide_offline.features.mirror.events import Detail, Events
    from pyodide_offline.features.mirror.limits import Limits

    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    if tls_cert and tls_key:
        from pyodide_offline.network import identity

        identity.check(tls_cert, tls_key)
    session = options.session(
        cache_dir=cache_dir,
        store_dir=store_dir,
        offline=offline,
        quiet=quiet,
        plain=True,
        proxies=proxies,
        pac=pac,
        ca=ca,
        verbose=verbose,
    )
    here = session.store.root / "mirror"
    host, _, unix = listening.address(listen)
    rules = access.rules(
        "" if unix else host,
        token_file or tokens.file(session.environ),
        tls=bool(tls_cert),
        insecure=insecure_listen,
        names=names,
        open_bundles=open_bundles,
        behind_proxy=behind_proxy,
        limits=Limits(rate=rate),
    )
    settings = feature.Settings(
        store=store or str(here / "depot"),
        cache=(cache or here / "cache").absolute(),
        listen=listen,
        upstreams=dict(pair(one, "--upstream") for one in upstreams),
        hosts=hosts,
        offline=offline,
        limit=_size(cache_size),
        fresh=fresh,
        base=base_url,
        certificate=tls_cert,
        key=tls_key,
        rules=rules,
        signing_key=signing_key or here / "signing.key",
        trusted=trusted,
        single=single_front,
        accel={
            Path(folder).absolute(): prefix
            for prefix, folder in (pair(one, "--x-accel") for one in accel)
        },
        links=links.absolute() if links else None,
    )

    def ready(address: str) -> None:
        if not quiet:
            click.echo(f"The mirror is at {address}", err=True)

    detail = Detail.ERRORS if quiet else Detail.REQUESTS if verbose else Detail.EVENTS
    feature.serve(session, settings, ready, Events(detail=detail))


def pair(text: str, option: str) -> tuple[str, str]:
    """Return both sides of a NAME=VALUE. Raises click.BadParameter."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.BadParameter(f"{text!r} is no NAME=VALUE.", param_hint=option)
    return name, value


def _size(text: str) -> int:
    units = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), ""
    if number and number[-1] in units:
        number, unit = number[:-1], number[-1]
    if not number.isdecimal():
        raise click.BadParameter(f"{text!r} is no size.", param_hint="--cache-size")
    return int(number) * units[unit]
