"""What miniflare starts in place of workerd (MINIFLARE_WORKERD_PATH).

It reads the configuration from standard input, has the Python workers' part of it
answered by the waiting ``run`` over a local socket (or answers it itself), and becomes
workerd: same process, so its signals and exit status are workerd's own.

Standard library only, and little of it: this is on the way of every start. A
configuration without Python passes at once, unless all requests are to be led through a
proxy. Whatever goes wrong here is said on standard error, and workerd is started untouched.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing for it would cost each start some milliseconds
if TYPE_CHECKING:
    from socket import socket
    from types import ModuleType

WORKERD = "PYODIDE_OFFLINE_WORKERD"
SOCKET = "PYODIDE_OFFLINE_SOCKET"
FOLDER = "PYODIDE_OFFLINE_SHIM_CACHE"
# Set where the requests of all workers are to be led, those of JavaScript too.
LEADING = "PYODIDE_OFFLINE_LEADING"
# Every Python worker carries this flag, and compatibility flags stand in the message as text.
MARK = b"python_workers"
FLAG = "--pyodide-bundle-disk-cache-dir="
# Bytes of the big-endian length in front of each frame.
HEAD = 8
# Bytes of a handle in a message (C's int).
INT = 4
# What goes along with the two ends of standard error, and comes back once they are held.
HEARD = b"2"
# Seconds. A first start may assemble a bundle meanwhile; a silent peer must not hold one up.
PATIENCE = 300


def main() -> None:
    """Become workerd. Exit status 127 if no workerd is named."""
    binary = os.environ.get(WORKERD)
    if not binary:
        _say(f"{WORKERD} names no workerd; start it with: pyodide-offline run -- COMMAND")
        raise SystemExit(127)
    arguments = sys.argv[1:]
    if arguments[:1] != ["serve"] or "--binary" not in arguments or "-" not in arguments:
        _become(binary, arguments, None)
    message = sys.stdin.buffer.read()
    folder = os.environ.get(FOLDER)
    more = [FLAG + folder] if folder and MARK not in message else []
    if MARK in message or os.environ.get(LEADING):
        more, message = _answered(binary, message, more)
    _become(binary, _with(arguments, more), message)


def _answered(binary: str, message: bytes, plain: "list[str]") -> "tuple[list[str], bytes]":
    try:
        return _answer(binary, message)
    except Exception as error:
        # No failure of ours, whatever it is, may stop a start that would work without us.
        _say(f"{error} ({type(error).__name__}); workerd is started as it is")
        return plain, message


def _answer(binary: str, message: bytes) -> "tuple[list[str], bytes]":
    path = os.environ.get(SOCKET)
    if path:
        try:
            return _ask(path, message)
        except OSError as error:
            _say(f"the waiting run cannot be asked ({error})")
    # The interpreter was started without site-packages, which only this slow way needs.
    import site

    site.main()
    from pyodide_offline.workers import answer

    found = answer.alone(binary, message, os.environ)
    return list(found.arguments), found.message


def _ask(path: str, message: bytes) -> "tuple[list[str], bytes]":
    """Three frames come back: an error or nothing, arguments parted by NUL, the message."""
    sockets = _sockets()
    peer = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        peer.settimeout(PATIENCE)
        peer.connect(path)
        send(peer, message)
        error = receive(peer).decode()
        more, changed = ("", message) if error else (receive(peer).decode(), receive(peer))
        _be_heard(peer)
    finally:
        peer.close()
    if error:
        raise RuntimeError(error)
    return more.split("\0") if more else [], changed


def _sockets() -> "ModuleType":
    """Return what the module ``socket`` is made of, where there is that: it takes 10 ms less."""
    try:
        import _socket as sockets
    except ImportError:
        import socket as sockets  # type: ignore[no-redef]
    return sockets


def _be_heard(peer: "socket") -> None:
    """Lead standard error past the waiting run, which passes it on and keeps its end.

    Only where it is a pipe or, as Node makes them, a socket: a terminal stays what it is.
    """
    import stat

    mode = os.fstat(2).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    reading, writing = os.pipe()
    sockets = _sockets()
    handles = b"".join(handle.to_bytes(INT, sys.byteorder) for handle in (reading, 2))
    try:
        peer.sendmsg([HEARD], [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, handles)])
        if peer.recv(1) == HEARD:
            os.dup2(writing, 2)
    except OSError:
        pass  # then it goes where it went
    finally:
        os.close(reading)
        os.close(writing)


def send(peer: "socket", data: bytes) -> None:
    """Send one frame: length in eight bytes, then the bytes."""
    peer.sendall(len(data).to_bytes(HEAD, "big"))
    if data:  # the other end may have answered and gone
        peer.sendall(data)


def receive(peer: "socket") -> bytes:
    """Read one frame. Raises ConnectionError if the peer goes away in between."""
    return _exactly(peer, int.from_bytes(_exactly(peer, HEAD), "big"))


def _exactly(peer: "socket", length: int) -> bytes:
    data = bytearray(length)
    view, done = memoryview(data), 0
    while done < length:
        count = peer.recv_into(view[done:])
        if not count:
            raise ConnectionError("it closed the connection")
        done += count
    return bytes(data)


def _with(arguments: "list[str]", more: "list[str]") -> "list[str]":
    """Add flags behind ``serve``; one that is there already keeps its value."""
    there = {argument.split("=", 1)[0] for argument in arguments}
    fresh = [flag for flag in more if flag.split("=", 1)[0] not in there]
    return [arguments[0], *fresh, *arguments[1:]]


def _become(binary: str, arguments: "list[str]", message: "bytes | None") -> None:
    if sys.platform == "win32":
        import subprocess

        done = subprocess.run([binary, *arguments], input=message, check=False)
        raise SystemExit(done.returncode)
    if message is not None:
        handle = _memory_file()
        view = memoryview(message)
        while view:
            view = view[os.write(handle, view) :]
        os.lseek(handle, 0, os.SEEK_SET)
        os.dup2(handle, 0)
    try:
        os.execv(binary, [binary, *arguments])  # noqa: S606 - replacing this process is the point
    except OSError as error:
        _say(f"workerd cannot be started: {binary}: {error.strerror}")
        raise SystemExit(126) from None


def _memory_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("workerd-config")
    import tempfile

    handle, name = tempfile.mkstemp()
    os.unlink(name)  # noqa: PTH108 - pathlib costs some ms here
    return handle


def _say(text: str) -> None:
    sys.stderr.write(f"pyodide-offline: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
