"""Kits that the end-to-end tests share: a project and a key, packed once for the whole run."""

from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import Machine


@dataclass(frozen=True)
class Packed:
    """A signed kit, the project that it was made of, and the two halves of its key."""

    file: Path
    project: Path
    secret: Path

    @property
    def key(self) -> Path:
        """The public key, which is what the other machine has."""
        return self.secret.with_name(f"{self.secret.name}.pub")


def ran(machine: Machine, *words: str | Path, cwd: Path | None = None) -> str:
    """Run this product on the machine that has it; a failure is the test's."""
    done = machine.call(cwd or Path.cwd(), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packed(machine: Machine, project: Path, *options: str | Path) -> Packed:
    """Pack a project beside itself, for this machine and its Python."""
    made = Packed(project.with_name("my.kit"), project, project.with_name("key"))
    ran(machine, "kit", "keygen", "--no-passphrase", made.secret)
    ran(
        machine,
        "kit",
        "pack",
        project,
        "-o",
        made.file,
        "--pin-now",
        "--sign",
        made.secret,
        *options,
    )
    return made
