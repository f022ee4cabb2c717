"""A mirror's front as its operator starts it: a process of its own, on a port of the kernel's."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE = 60.0  # seconds until it listens


@dataclass(frozen=True)
class Front:
    """One that runs; ``log`` is what it has said so far."""

    url: str
    process: "subprocess.Popen[str]"
    log: list[str]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


@contextmanager
def front(folder: Path, env: Mapping[str, str], *options: str) -> Iterator[Front]:
    """Start one with its store and cache below ``folder``; end it by its own id."""
    folder.mkdir(exist_ok=True)
    program = str(Path(sys.executable).parent / "pyodide-offline")
    places = ["--store", str(folder / "depot"), "--cache", str(folder / "cache")]
    words = [program, "mirror", "serve", "--listen", "127.0.0.1:0", *places, *options]
    child = subprocess.Popen(
        words,
        env=dict(env),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    log: list[str] = []
    listening = threading.Event()
    address: list[str] = []

    def read() -> None:
        assert child.stderr is not None
        for line in child.stderr:
            log.append(line)
            if " is at http" in line:
                address.append(line.split(" is at ")[1].strip())
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert listening.wait(PATIENCE), "".join(log)
        assert address, "".join(log)
        yield Front(address[0], child, log)
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        reader.join(5)
        assert child.stderr is not None
        child.stderr.close()
