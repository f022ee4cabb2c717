"""Passwords and tokens out of whatever a person or a file may get to see."""

import re

# No pattern begins with a run of any length: on a long line (minified code) that would
# take time by the square of its length.
_USERINFO = re.compile(r"(?<=[a-zA-Z0-9+.-]://)[^/\s'\"?#]+@")
_SECRET_PAIR = re.compile(
    r"(?P<key>_authToken|_auth|_password|password|token|secret|api[-_]?key)"
    r"(?P<sep>\s*[=:]\s*)(?!//)(?P<value>\S+)",
    re.IGNORECASE,
)
_AUTH_HEADER = re.compile(r"(?P<head>(?:proxy-)?authorization\s*:\s*)(?:\S+\s+)?\S+", re.IGNORECASE)
HIDDEN = "***"


def url(text: str) -> str:
    """Return the URL without user, password, query and fragment.

    A query may carry a signed token, so it goes as well.
    """
    bare = _USERINFO.sub(f"{HIDDEN}@", text)
    return re.split(r"[?#]", bare, maxsplit=1)[0]


def text(message: str) -> str:
    """Return free text (a program's output, an exception) with secrets replaced."""
    message = _USERINFO.sub(f"{HIDDEN}@", message)
    message = _AUTH_HEADER.sub(rf"\g<head>{HIDDEN}", message)
    return _SECRET_PAIR.sub(rf"\g<key>\g<sep>{HIDDEN}", message)
