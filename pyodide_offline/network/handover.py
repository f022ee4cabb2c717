"""Records and open sockets from one process to another (unix(7), SCM_RIGHTS).

A socket belongs to the network that it was made in, whoever holds it: one that was made
inside listens and connects inside, for a process outside.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 1 << 16
_MOST = 16


class GoneError(Exception):
    """The other process is no more."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends that keep records apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(
    end: socket.socket, record: Mapping[str, Any], sockets: Sequence[socket.socket] = ()
) -> None:
    """Send a record, and a copy of each socket. Raises GoneError."""
    data = json.dumps(dict(record)).encode()
    try:
        socket.send_fds(end, [data], [one.fileno() for one in sockets], socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionError) as error:
        raise GoneError from error


def receive(end: socket.socket) -> tuple[dict[str, Any], list[socket.socket]]:
    """Return the next record and its sockets. Raises GoneError at the end."""
    try:
        data, handles, _, _ = socket.recv_fds(end, _LONGEST, _MOST)
    except ConnectionError as error:
        raise GoneError from error
    sockets = [socket.socket(fileno=handle) for handle in handles]
    for one in sockets:  # recv_fds drops its flags (CPython 3.11), so MSG_CMSG_CLOEXEC too
        one.set_inheritable(False)
    if not data:
        raise GoneError
    record: dict[str, Any] = json.loads(data)
    return record, sockets
