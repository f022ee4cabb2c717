"""The one door for downloads.

- Every request has a connect and an idle timeout and a maximum length; none has a total
  timeout, because a slow line is not a broken one.
- The way is ``transport``'s: our dialer, through the user's proxies; certificates are
  ``trust``'s.
- Repeated, with a pause: connections that were refused or broke, broken bodies, 429, 502,
  503, 504. Other answers of 400 and above are the server's last word (RFC 9110 §15.5), and
  where there is no route or nobody answers, waiting would only be longer.
- A download that breaks off goes on where it was (``partial``), and as long as it gets on,
  it is not given up.
- Redirects are followed here, at most five, to where ``redirects`` lets them; Authorization
  and Cookie stay with the origin (RFC 6454 §4) that they were meant for.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pyodide_offline import __version__, redact
from pyodide_offline.digest import Digest
from pyodide_offline.errors import IntegrityError, NetworkError
from pyodide_offline.network import failures, redirects, trust
from pyodide_offline.network.partial import AnotherPartError, Partial
from pyodide_offline.progress import working
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import ssl

    import httpx

CONNECT_TIMEOUT = 10.0  # seconds
IDLE_TIMEOUT = 30.0  # seconds without a byte
PAUSES = (0.5, 2.0)  # seconds before the second and the third try
LONGEST_PAUSE = 10.0  # seconds of a Retry-After that are waited for
REDIRECTS = 5
GAIN = 1 << 20  # bytes that make a download that broke off worth three tries more
TRANSIENT = {429, 502, 503, 504}
_ORIGIN_ONLY = {"authorization", "cookie"}
_PAGES = ("text/html", "application/xhtml+xml")
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head")
_T = TypeVar("_T")


class HttpStatusError(Exception):
    """The server's answer was an error. What that means only the caller knows."""

    def __init__(self, url: str, status: int, *, page: bool, pause: float = 0) -> None:
        super().__init__(f"{failures.host_of(url)} answered {status}")
        self.url = redact.url(url)
        self.host = failures.host_of(url)
        self.status = status
        self.page = page  # an HTML page: perhaps a proxy's and not the server's
        self.pause = pause


def download(
    session: Session,
    url: str,
    target: Path,
    *,
    label: str,
    digest: Digest | None,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    ca_files: Sequence[Path] = (),
    hosts: Collection[str] = (),
    elsewhere: bool = False,
) -> Digest:
    """Stream a file to ``target`` and return its sha256; nothing is left on failure.

    ``label`` is what people see. Redirects may lead to the same host and to ``hosts``, with
    ``elsewhere`` and a digest to any. Raises OfflineError, NetworkError, IntegrityError (wrong
    digest, longer than ``max_bytes``), HttpStatusError; OSError of the target passes.
    """
    session.require_network(label)

    part = Partial(target, digest)

    def save(response: "httpx.Response") -> Digest:
        refuse_page(response)
        try:
            part.begin(response.status_code, response.headers)
        except AnotherPartError as error:
            host = failures.host_of(url)
            why = f"It sent: {redact.text(str(error))[:100]}"
            raise NetworkError(
                f"{host} sends another part of {label}.", why=why, kind="broken"
            ) from error
        rest = announced(response)
        total = part.size + rest if rest is not None else None
        with working(session.progress, label, total) as advance:
            advance(part.size)
            # Raw: a .tgz that a server labels as Content-Encoding: gzip must stay one.
            for chunk in _bounded(response.iter_raw(), url, max_bytes, total, part.size):
                part.write(chunk)
                advance(len(chunk))
        plain, actual = part.digests()
        if digest is None or actual != digest:
            refuse_page(response, part.beginning)
        if actual != digest:
            assert digest  # noqa: S101 - for mypy
            assert actual  # noqa: S101
            raise IntegrityError(
                f"{label} from {failures.host_of(url)} is not the file that it must be.",
                why=f"Expected {digest.sri}, got {actual.sri}.",
                next_step="A proxy or a mirror may have changed it: ask its owner, or try again.",
            )
        return plain

    asked = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        with part:
            return _ask(
                session,
                Question(url, asked, label, tuple(hosts), elsewhere and digest is not None),
                ca_files,
                save,
                part,
            )
    except BaseException:
        if target.is_file():  # never a device or a pipe: those are not ours to remove
            target.unlink()
        raise


def read(
    session: Session,
    url: str,
    *,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    ca_files: Sequence[Path] = (),
    label: str = "",
) -> bytes:
    """Return a small answer whole. Raises as ``download`` does."""
    label = label or redact.url(url)
    session.require_network(label)

    def whole(response: "httpx.Response") -> bytes:
        return b"".join(_bounded(response.iter_bytes(), url, max_bytes, announced(response)))

    return _ask(session, Question(url, headers or {}, label), ca_files, whole)


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port, the port never left out for http and https."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


@dataclass(frozen=True)
class Question:
    """What is asked for, and where redirects may lead (see ``redirects``).

    ``permit`` gives the reason why an address must not be asked, nothing if it may be.
    """

    url: str
    headers: Mapping[str, str]
    label: str
    hosts: tuple[str, ...] = ()
    checked: bool = False
    permit: Callable[[str], str] | None = None


def _ask(
    session: Session,
    question: Question,
    ca_files: Sequence[Path],
    use: "Callable[[httpx.Response], _T]",
    part: Partial | None = None,
) -> _T:
    import httpx

    number, kept = 0, 0
    with client(session, ca_files) as line:
        while True:
            number, pause = number + 1, 0.0
            if part and part.size - kept >= GAIN:
                number, kept = 1, part.size
            last = number > len(PAUSES)
            asked = {**question.headers, **(part.asking() if part else {})}
            try:
                with answer(line, replace(question, headers=asked)) as response:
                    return use(response)
            except HttpStatusError as error:
                beyond = error.status == 416 and part is not None and part.size > 0
                if last or not (beyond or error.status in TRANSIENT):
                    raise
                if part and beyond:
                    part.restart()
                reason, pause = f"{error}", error.pause
            except NetworkError as error:
                if last or not failures.worth_another_try(error):
                    raise
                reason = error.what.rstrip(".")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise failures.explain(error, question.url, environ=session.environ) from error
            session.progress.note(f"{question.label}: {reason}; trying again.")
            time.sleep(min(max(pause, PAUSES[number - 1]), LONGEST_PAUSE))


def client(
    session: Session,
    ca_files: Sequence[Path] = (),
    trusting: "Callable[[], ssl.SSLContext] | None" = None,
    peer: Callable[[str, str], str] | None = None,
) -> "httpx.Client":
    """Return a client by the user's ways; for one thread at a time, and to be closed.

    ``trusting`` gives the contexts for TLS where many clients share them; ``peer`` the reason
    why an address must not be asked that a URL's name led to.
    """
    import httpx

    from pyodide_offline.network.transport import Transport

    def context() -> "ssl.SSLContext":
        return trust.context(session.environ, ca_files, note=session.progress.note)

    timeout = httpx.Timeout(IDLE_TIMEOUT, connect=CONNECT_TIMEOUT)
    agent = {"User-Agent": f"pyodide-offline/{__version__}"}
    way = Transport(session, trusting or context, peer)
    return httpx.Client(transport=way, timeout=timeout, headers=agent, trust_env=False)


@contextmanager
def answer(line: "httpx.Client", question: Question) -> "Iterator[httpx.Response]":
    """Yield the answer at the end of the redirects, its body not yet read.

    Raises HttpStatusError for 300 and above, NetworkError for a redirect that is refused;
    httpx's exceptions pass.
    """
    url, headers = question.url, dict(question.headers)
    for _ in range(REDIRECTS + 1):
        if question.permit and (why := question.permit(url)):
            raise NetworkError(f"{failures.host_of(url)} is not asked.", why=why)
        with line.stream("GET", url, headers=headers) as response:
            location = response.headers.get("Location")
            if response.status_code in redirects.STATUSES and location:
                following = str(response.url.join(location))
            elif response.status_code >= 300:
                pause = response.headers.get("Retry-After", "")
                raise HttpStatusError(
                    url,
                    response.status_code,
                    page=_is_page(response),
                    pause=float(pause) if pause.isdecimal() else 0,
                )
            else:
                yield response
                return
        if why := redirects.problem(url, following, hosts=question.hosts, checked=question.checked):
            raise NetworkError(
                f"{failures.host_of(url)} redirects to {redact.url(following)}, which is refused.",
                why=why,
                next_step="If the file does belong there, name that address itself.",
            )
        if origin(url) != origin(following):
            headers = {k: v for k, v in headers.items() if k.lower() not in _ORIGIN_ONLY}
        url = following
    raise NetworkError(
        f"{failures.host_of(url)} redirects more than {REDIRECTS} times.",
        why=f"The last address was {redact.url(url)}.",
    )


def _bounded(
    chunks: Iterator[bytes], url: str, max_bytes: int, total: int | None, before: int = 0
) -> Iterator[bytes]:
    seen = total or 0
    if seen <= max_bytes:
        seen = before
        for chunk in chunks:
            seen += len(chunk)
            if seen > max_bytes:
                break
            yield chunk
        else:
            return
    raise IntegrityError(
        f"{redact.url(url)} is longer than the {max_bytes} bytes that are allowed.",
        why="The answer cannot be what was asked for.",
    )


def announced(response: "httpx.Response") -> int | None:
    """Return the length that an answer's body is said to have."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _is_page(response: "httpx.Response") -> bool:
    kind: str = response.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() in _PAGES


def refuse_page(response: "httpx.Response", beginning: bytes = b"") -> None:
    """Raise NetworkError for a page that says so, and one that can be seen by its ``beginning``."""
    if _is_page(response) or beginning.lstrip()[:9].lower().startswith(_PAGE_STARTS):
        host = failures.host_of(str(response.url))
        raise NetworkError(
            f"A web page came from {host} instead of the file.",
            why="A proxy's block or login page, or a mirror that does not have the file.",
            next_step="Open the address in a browser, or ask who runs the proxy: "
            + redact.url(str(response.url)),
        )
