"""The mirror's own words over HTTP: short JSON, nothing of this machine in it, nothing kept."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyodide_offline import redact
from pyodide_offline.errors import (
    DepotDownError,
    ForbiddenError,
    IntegrityError,
    NetworkError,
    OfflineError,
    PinChangedError,
    PyodideOfflineError,
    RegistryError,
    StorageError,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_STATUS: Mapping[type[PyodideOfflineError], int] = {
    DepotDownError: 503,
    StorageError: 503,
    ForbiddenError: 403,
    OfflineError: 404,
    PinChangedError: 502,
    IntegrityError: 502,
    RegistryError: 502,
    NetworkError: 502,
}
# What these say is about a place of this machine.
_INSIDE = {
    DepotDownError: "The mirror's store does not answer.",
    StorageError: "The mirror's disk is full or cannot be used.",
}
_GONE = (404, 410)
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Reply:
    """A whole response; ``code`` is that of a refusal."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""

    async def send(self, scope: Scope, send: Send) -> None:
        """Give it to the client; of HEAD without the body."""
        headers = {**_HEADERS, **self.headers, "content-length": str(len(self.body))}
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": pairs})
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body, "more_body": False})


def refusal(
    status: int,
    code: str,
    what: str,
    *,
    next_step: str = "",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return an error as JSON: a code for programs, a sentence for people."""
    parts = {"code": code, "what": what, **({"next_step": next_step} if next_step else {})}
    return replace(as_json({"error": parts}, status, headers), code=code)


def of_error(error: PyodideOfflineError) -> Reply:
    """Return what a client hears of an error of ours."""
    kind = next((one for one in _STATUS if isinstance(error, one)), PyodideOfflineError)
    status = _STATUS.get(kind, 500)
    if kind is RegistryError and error.facts.get("status") in _GONE:
        status = 404
    what = _INSIDE.get(kind) or redact.text(f"{error.what} {error.why}")
    headers = {"retry-after": "5"} if status == 503 else {}
    next_step = "" if kind in _INSIDE else redact.text(error.next_step)
    return refusal(status, error.code, what.strip(), next_step=next_step, headers=headers)


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a value as JSON."""
    body = (json.dumps(value, indent=1) + "\n").encode()
    return Reply(status, body, {"content-type": "application/json", **(headers or {})})


def header(scope: Scope, name: bytes) -> str:
    """Return a request's header, its values joined as RFC 9110 §5.3 says; empty without."""
    found = [value for key, value in _pairs(scope) if key == name]
    return b", ".join(found).decode("latin-1")


def headers(scope: Scope, name: bytes) -> list[bytes]:
    """Return each value of a request's header."""
    return [value for key, value in _pairs(scope) if key == name]


def _pairs(scope: Scope) -> Iterable[tuple[bytes, bytes]]:
    return scope.get("headers", ())  # type: ignore[no-any-return]
