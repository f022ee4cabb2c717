"""What a mirror answers, as an OpenAPI description: for people, and for programs that try it."""

from collections.abc import Mapping
from typing import Any

from pyodide_offline import __version__

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_REFUSALS = {
    "400": "The request cannot be one of ours.",
    "401": "A token is needed, or is not known.",
    "403": "The token's role, or the mirror's list of upstreams, does not allow it.",
    "404": "It is neither here nor upstream.",
    "413": "The request's body is too large.",
    "414": "The path is too long.",
    "421": "The mirror does not answer to that host name.",
    "429": "Too many requests; see Retry-After.",
    "431": "The request's headers are too long.",
    "502": "An upstream does not answer, or gives other bytes than it should.",
    "503": "The mirror's store does not answer, or too much is asked at once.",
    "504": "An upstream took too long.",
}
_ANYTHING = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_JSON = {"application/json": {"schema": {"type": "object"}}}
_HTML = {"text/html": {"schema": {"type": "string"}}}
_NAME = {"type": "string", "minLength": 1, "maxLength": 214}


def document() -> dict[str, Any]:
    """Return the description, version 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pyodide-offline mirror",
            "version": __version__,
            "description": "Packages and bundles, each fetched once and verified. Read only.",
        },
        "paths": {
            "/": _path("The status page (role admin)", {}, _HTML),
            "/healthz": _path("Whether the front lives; no token", {}, _JSON),
            "/readyz": _path("Whether the front wants requests; no token", {}, _JSON),
            "/metrics": _path(
                "Counters for Prometheus (role admin)",
                {},
                {"text/plain": {"schema": {"type": "string"}}},
            ),
            "/openapi.json": _path("This description", {}, _JSON),
            "/npm/{package}": _path(
                "A package's document; a scoped name as @scope%2fname or @scope/name",
                {"package": _NAME},
                _ANYTHING,
            ),
            "/npm/{package}/-/{file}": _path(
                "A tarball", {"package": _NAME, "file": _NAME}, _ANYTHING, parts=True
            ),
            "/simple/": _path("The list of projects (PEP 503, 691)", {}, _ANYTHING),
            "/simple/{project}/": _path(
                "A project's files, as HTML or JSON", {"project": _NAME}, _ANYTHING
            ),
            "/files/{sha256}/{file}": _path(
                "A file of a project, or its metadata (PEP 658)",
                {"sha256": _digest(), "file": _NAME},
                _ANYTHING,
                parts=True,
            ),
            "/pyodide/v{version}/full/{file}": _path(
                "A file of a Pyodide release",
                {"version": {"type": "string", "pattern": r"^[0-9][0-9A-Za-z.]*$"}, "file": _NAME},
                _ANYTHING,
                parts=True,
            ),
            "/{name}.capnp.bin": _path(
                "A bundle for workerd", {"name": _NAME}, _ANYTHING, parts=True
            ),
            "/sha256/{sha256}": _path(
                "Any content by its digest", {"sha256": _digest()}, _ANYTHING, parts=True
            ),
        },
        "components": {
            "schemas": {"Error": _error()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
    }


def _path(
    what: str,
    names: Mapping[str, Mapping[str, Any]],
    content: Mapping[str, Any],
    *,
    parts: bool = False,
) -> dict[str, Any]:
    """Return a path's GET and HEAD; ``parts``: a range of it may be asked for."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in names.items()
    ]
    answers: dict[str, Any] = {
        "200": {"description": what, "content": content},
        "304": {"description": "It is what If-None-Match names."},
        **{status: {"description": text, "content": _ERROR} for status, text in _REFUSALS.items()},
    }
    if parts:
        parameters.append({"name": "Range", "in": "header", "schema": {"type": "string"}})
        answers["206"] = {"description": "The part that was asked for.", "content": content}
        answers["416"] = {"description": "No such part.", "content": _ERROR}
    head = {
        status: {key: value for key, value in answer.items() if key != "content"}
        for status, answer in answers.items()
    }
    return {
        "parameters": parameters,
        "get": {"summary": what, "responses": answers},
        "head": {"summary": what, "responses": head},
    }


def _digest() -> dict[str, Any]:
    return {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _error() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "what"],
                "properties": {"code": text, "what": text, "next_step": text},
            }
        },
    }
