"""The CA files that variables name, and whether each program's store has what is needed."""

import re
import shlex
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline.features.doctor import certificates, places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import configured, trust
from pyodide_offline.network.trust import Source
from pyodide_offline.paths import CA_VARIABLE

# Those that stand in for a program's own roots, and the one that is added to them.
REPLACING = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT",
             "npm_config_cafile")  # fmt: skip
ADDING = ("NODE_EXTRA_CA_CERTS", CA_VARIABLE)
_PIPS = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
FEW = 20  # a file with fewer certificates than this cannot be the public roots
_BLOCK = re.compile(
    rb"-----BEGIN (?P<kind>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=kind)-----", re.DOTALL
)


@dataclass(frozen=True)
class Store:
    """What a program trusts: files, the system's store, roots that it brings itself.

    ``more`` are files that it goes on without where they cannot be read.
    """

    files: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    system: bool = False
    bundled: bool = False

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts the same. Raises OSError for a file that cannot be read."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.system:
            paths = ssl.get_default_verify_paths()
            for file in {paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"}:
                if Path(file).is_file():
                    made.load_verify_locations(cafile=file)
        if self.bundled:
            import certifi

            made.load_verify_locations(cafile=certifi.where())
        for file in self.files:
            made.load_verify_locations(cafile=file)
        for file in self.more:
            with suppress(OSError):
                made.load_verify_locations(cafile=file)
        return made


def stores(environ: Mapping[str, str], settings: Sequence[Source] = ()) -> dict[str, Store]:
    """Return what each program trusts, by the variables that it reads. Pure.

    ``settings`` are what .npmrc and pip.conf name (``configured``), which give way to the
    variables. Ours is looked at by ``certificates``.

    workerd and Python: OpenSSL's SSL_CERT_FILE, else the system. Node: its own roots and
    NODE_EXTRA_CA_CERTS; the system's where NODE_OPTIONS or NODE_USE_SYSTEM_CA say so. npm:
    its cafile in place of them. uv: its own roots, SSL_CERT_FILE in place of them, or the
    system's. pip: --cert's variable, then those of requests, else the system's and its own.
    """
    named = {key: (value,) for key in REPLACING + ADDING if (value := environ.get(key))}
    openssl = named.get("SSL_CERT_FILE", ())
    extra = named.get("NODE_EXTRA_CA_CERTS", ())
    options = environ.get("NODE_OPTIONS", "")
    if "--use-openssl-ca" in options:
        node = Store(openssl, extra, system=not openssl)
    else:
        also = "--use-system-ca" in options or environ.get("NODE_USE_SYSTEM_CA") == "1"
        node = Store((), extra, system=also, bundled=True)
    files = {one.origin.partition(" in ")[0]: (str(one.path),) for one in settings}
    npm = named.get("npm_config_cafile") or files.get("cafile") or files.get("npm's ca")
    native = any(
        environ.get(one, "").lower() in ("1", "true", "yes")
        for one in ("UV_NATIVE_TLS", "UV_SYSTEM_CERTS")
    )
    conf = files.get("install.cert") or files.get("global.cert")
    own = named.get("PIP_CERT") or conf or next((named[one] for one in _PIPS if one in named), ())
    return {
        "workerd": Store(openssl, system=not openssl),
        "Node": node,
        "npm": Store(npm) if npm else node,
        "pip": Store(own) if own else Store(openssl, system=not openssl, bundled=True),
        "uv": Store(openssl, system=native and not openssl, bundled=not native and not openssl),
    }


def files(observed: Observed) -> Finding:
    """Read the CA files that variables name; `run` does not start with one of ours that is bad."""
    told: dict[str, Any] = {}
    for source in trust.sources(observed.environ):
        if source.origin == trust.OPTION:
            found, wrong = trust.read(source.path)
            told.setdefault(CA_VARIABLE, []).append(
                {"file": str(source.path), "certificates": len(found), "problem": wrong}
            )
            if not found:
                return failed(
                    f"The CA file {source.path} of {trust.OPTION} or {CA_VARIABLE} cannot be used: "
                    f"{wrong}.",
                    "`run` ends with it (status 13).",
                    f"Name a PEM or DER file, or a folder of them, with {trust.OPTION}.",
                    blame="toolchain",
                    files=told,
                )
    problems: list[tuple[str, str, str]] = []
    for variable in (*REPLACING, *ADDING):
        if variable != CA_VARIABLE and (value := observed.environ.get(variable)):
            count, wrong = read(Path(value))
            told[variable] = {"file": value, "certificates": count, "problem": wrong}
            if wrong:
                problems.append((variable, value, wrong))
            elif variable in REPLACING and count < FEW:
                wrong = f"holds {count} certificates only, and stands in for the public roots"
                told[variable]["problem"] = wrong
                problems.append((variable, value, wrong))
    if problems:
        variable, value, wrong = problems[0]
        return warned(
            f"{variable}: {value} {wrong}.",
            " ".join(f"{one}: {file} {text}." for one, file, text in problems[1:]),
            f"unset {variable}",
            files=told,
        )
    if off := trust.not_followed(observed.environ):
        variable = off[0].partition(" ")[0]
        return warned(
            f"{variable} switches the checks of certificates off in other programs.",
            "Whoever sits between can then read and change everything.",
            f"unset {variable}",
            files=told,
        )
    if not told:
        return skipped("No variable names a CA file.")
    return passed(f"The CA files of {', '.join(told)} can be used.", files=told)


def read(path: Path) -> tuple[int, str]:
    """Return how many certificates a file holds, and what a parser may dislike in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return 0, f"cannot be read ({error.strerror})"
    kinds = [match["kind"].decode() for match in _BLOCK.finditer(data)]
    count = kinds.count("CERTIFICATE")
    if any("PRIVATE KEY" in kind for kind in kinds):
        return count, "holds a private key"
    if "TRUSTED CERTIFICATE" in kinds:
        return count, "is in OpenSSL's own form (TRUSTED CERTIFICATE), which others cannot read"
    if not count:
        der = data[:1] == b"\x30"
        return 0, "is in DER, and programs want PEM" if der else "holds no certificate"
    if data.startswith(b"\xef\xbb\xbf"):
        return count, "begins with a byte order mark, which some parsers dislike"
    for number, match in enumerate(_BLOCK.finditer(data), 1):
        try:
            ssl.PEM_cert_to_DER_cert(match[0].decode("ascii").replace("\r", ""))
            ssl.create_default_context(cadata=match[0].decode("ascii"))
        except (ValueError, ssl.SSLError):
            return count, f"holds a certificate (number {number}) that cannot be parsed"
    return count, ""


def programs(observed: Observed) -> Finding:
    """Try each program's store on a place that is reached."""
    place = next(
        (one for one in places.known(observed)
         if one.scheme == "https" and not places.blocked(observed, one)
         and places.outcome(observed, one).answer is not None),
        None,
    )  # fmt: skip
    if place is None:
        return skipped("No place is reached on which to try it.")
    environ, folder = observed.environ, observed.project
    read = stores(environ, configured.sources(environ, folder))
    different = list(dict.fromkeys(read.values()))
    with ThreadPoolExecutor(len(different)) as pool:
        reasons = list(pool.map(lambda one: _tried(observed, place, one), different))
    tried = dict(zip(different, reasons, strict=True))
    said = {who: reason for who, store in read.items() if (reason := tried[store]) is not None}
    if not said:
        return passed(f"workerd, Node, npm, pip and uv trust {place.host} too.", host=place.host)
    chain = observed.evidence("trust.chain").get("seen", {}).get(place.host, {})
    issuer = chain.get("issuer", "its issuer")
    intercepted = observed.evidence("trust.chain").get("intercepted")
    return warned(
        f"{', '.join(said)} will not trust {place.host}: {issuer} is not in what they read.",
        "`pyodide-offline run` gives its programs one file with all; started otherwise they fail.",
        _command(environ),
        blame="interception" if intercepted else "toolchain",
        repair="merged-ca",
        host=place.host,
        distrusting=said,
    )


def _tried(observed: Observed, place: places.Place, store: Store) -> str | None:
    """Return why a store does not believe a place, None if it does."""
    try:
        return certificates.verified(observed, place, store.context())
    except OSError as error:
        return str(getattr(error, "strerror", None) or error)


def _command(environ: Mapping[str, str]) -> str:
    """Return the command that shows all programs the file which we trust by, and the public."""
    own = [str(one.path) for one in trust.sources(environ) if one.origin == trust.OPTION]
    named = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
    system = str(Path(ssl.get_default_verify_paths().openssl_cafile).resolve())
    files = own or [next((environ[one] for one in named if environ.get(one)), system)]
    options = "".join(f" {trust.OPTION} {shlex.quote(file)}" for file in files)
    return f'eval "$(pyodide-offline env{options})"'


FILES = (Check("trust.files", "Can the CA files that variables name be used?", files),)
PROGRAMS = (
    Check(
        "trust.programs",
        "Does every program trust what is shown here?",
        programs,
        after=("trust.chain", "route.official", "registry.npm", "registry.pypi"),
        seconds=8,
        remote=True,
    ),
)
