"""A dev server as its user starts and ends it, and what it leaves behind.

``started(command, project)`` starts a command such as ``pyodide-offline run -- pywrangler
dev`` on a free port, gives a Server to talk to once it answers, ends it by its own id,
and asserts that no process of it is left. The pytest plugin's server, held to more: what
that one would end for a user is a failure here.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyodide_offline.errors import ToolchainError
from pyodide_offline.pytest_plugin import server as plugin

ROOT = Path(__file__).resolve().parents[2]
_GENERATED = ("python_modules", ".venv-workers", ".wrangler", "node_modules", "pylock.toml")


class Server(plugin.Server):
    """A started dev server whose end must be a clean one."""

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        """End the server as its user would and return its exit status.

        AssertionError if it does not end, or leaves a process behind.
        """
        self.send(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end in {timeout:.0f} s:\n{self.log}") from None
        left = self.processes(settle=1.0)
        assert not left, f"left running after {number.name}: {left}\n{self.log}"
        return status


@contextmanager
def started(
    command: Sequence[str],
    project: Path,
    *,
    env: Mapping[str, str],
    log: Path,
    timeout: float = 120,
) -> Iterator[Server]:
    """Start ``command`` in ``project`` and give its server once it answers.

    ``--ip`` and ``--port`` are added to the command. What is still running at the end
    of the block is ended with SIGTERM and held to the same promise as ``stop``.
    """
    port = plugin.Port()
    words = [*command, "--ip", "127.0.0.1", "--port", str(port.number)]
    server = Server.start(words, project, port=port.number, env=env, log=log)
    try:
        try:
            server.wait(timeout)
        except ToolchainError as error:
            raise AssertionError(f"{error.what}\n{server.log}") from None
        yield server
        server.stop()
    finally:
        server.kill()
        port.release()


def copy_example(name: str, to: Path, date: str | None = None) -> Path:
    """Copy an example as it is in the repository, on request with another date."""
    shutil.copytree(ROOT / "examples" / name, to, ignore=shutil.ignore_patterns(*_GENERATED))
    if date is not None:
        (config,) = to.glob("wrangler.*")
        text = config.read_text(encoding="utf-8")
        changed, count = re.subn(r'(compatibility_date"?\s*[=:]\s*)"[^"]*"', rf'\1"{date}"', text)
        assert count == 1, config
        config.write_text(changed, encoding="utf-8")
    return to
