"""Ed25519 signatures verified in plain Python (RFC 8032 §5.1), for a machine with nothing else.

Verifying handles no secret, so that its time may depend on its input. Signing, which does,
is left to a library (``signing``).
"""

import hashlib

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)

# A point in extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z (§5.1.4).
Point = tuple[int, int, int, int]
_NEUTRAL: Point = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature (64 bytes) of a message is of this public key (32 bytes).

    S must be below the order, and the key no point of small order.
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    key = _decode(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _L or _equal(_times(8, key), _NEUTRAL):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    negative = (-key[0] % _P, key[1], key[2], -key[3] % _P)
    challenge = int.from_bytes(hashed, "little") % _L
    found = _add(_times(scalar, _BASE), _times(challenge, negative))
    return _encode(found) == signature[:32]


def _add(one: Point, other: Point) -> Point:
    """§5.1.4, valid for every two points."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    found = _NEUTRAL
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return found


def _equal(one: Point, other: Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 and (
        one[1] * other[2] - other[1] * one[2]
    ) % _P == 0


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> Point | None:
    """§5.1.3; None for what is no point."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_found = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
assert _found is not None  # noqa: S101 - §5.1: the base point has y = 4/5
_BASE: Point = _found
