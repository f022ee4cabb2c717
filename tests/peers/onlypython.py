"""A machine where only Python is: no network, Node, uv or product, an empty HOME, a kit's program.

``TOOLS`` is what a system without developers' tools has.
"""

import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.peers.netns import Counted, run_counted

TOOLS = ("sh", "env", "cat", "rm", "mkdir", "ls", "uname", "dirname", "readlink", "sed", "id")


class Elsewhere:
    """That machine's folders: ``home``, ``tools`` (its PATH), and ``kit``, with its ``key``."""

    def __init__(self, folder: Path, kit: Path, key: Path) -> None:
        self.kit, self.key = kit, key
        self.home, self.tools = folder / "an empty home", folder / "bin"
        self.home.mkdir(parents=True)
        self.tools.mkdir()
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or name)
        # Not one of a virtual environment, which would have this product.
        self.python = Path(sys._base_executable)  # type: ignore[attr-defined]
        (self.tools / "python3").symlink_to(self.python)
        self.program = folder / "kit.pyz"
        with tarfile.open(kit) as tar:
            content = tar.extractfile("kit.pyz")
            assert content is not None
            self.program.write_bytes(content.read())
        self.environ = {
            "HOME": str(self.home),
            "PATH": str(self.tools),
            "PYODIDE_OFFLINE_CACHE_DIR": str(folder / "bundles"),
        }

    def command(self, words: Sequence[str]) -> list[str]:
        """Return what a user types there to run a command from the kit."""
        started = ["python3", str(self.program), "run", str(self.kit), "--key", str(self.key)]
        return [*started, "--", *words]

    def counted(self, command: Sequence[str], project: Path, timeout: float = 300) -> Counted:
        """Run a command in the network that leads nowhere."""
        mine = [f"{name}={value}" for name, value in self.environ.items()]
        return run_counted(["env", "-i", *mine, *command], cwd=project, timeout=timeout)
