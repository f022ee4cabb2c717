"""Whether ``pywrangler sync`` would do something: asked at each start, so it loads little."""

from pathlib import Path

VENV = ".venv-workers"
MODULES = "python_modules"
LOCKFILE = "pylock.toml"
TOKEN = ".synced"  # noqa: S105 - a file name


def root(project: Path) -> Path | None:
    """Return the folder with pyproject.toml, searched upward as pywrangler does."""
    start = project.resolve()
    return next(
        (one for one in (start, *start.parents) if (one / "pyproject.toml").is_file()), None
    )


def needed(project: Path, version: str) -> bool:
    """Say whether ``pywrangler sync`` of this version would do something.

    Its rule: both tokens hold its version and are not older than pyproject.toml and
    pylock.toml.
    """
    folder = root(project)
    if folder is None:
        return True
    try:
        changed = (folder / "pyproject.toml").stat().st_mtime
        if (folder / LOCKFILE).is_file():
            changed = max(changed, (folder / LOCKFILE).stat().st_mtime)
        for token in (folder / MODULES / TOKEN, folder / VENV / TOKEN):
            if token.stat().st_mtime < changed or token.read_text().strip() != version:
                return True
    except (OSError, UnicodeDecodeError):
        return True
    return False
