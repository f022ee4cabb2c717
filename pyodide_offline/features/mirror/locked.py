"""Which archives locks name, each with the digests that it may have. Pure.

    package-lock.json   npm's, version 2 or 3
    uv.lock, pylock.toml
    *.txt, *.in         requirements with ``--hash``, as pip's --require-hashes wants them

A lock names archives for many platforms. Those that this machine's programs, Pyodide and no
platform at all take are wanted, or all of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pyodide_offline.digest import Digest, parse
from pyodide_offline.distribution import npmlock, pythonlock
from pyodide_offline.distribution.npmlock import Platform
from pyodide_offline.errors import ProjectError

NPM, PYTHON = "npm", "python"
_HASH = re.compile(r"--hash[=\s]\s*(\S+)")
# Platforms of wheels that run in workerd or a browser, whatever the machine.
_WEB = ("emscripten", "pyodide", "wasm32", "pyemscripten")


@dataclass(frozen=True)
class Want:
    """One package in one version. ``digests``: what its archive may have, one is enough.

    Of npm it is one archive; of Python each that has one of the digests and fits.
    """

    kind: str
    name: str
    version: str
    digests: tuple[Digest, ...] = field(repr=False)


@dataclass(frozen=True)
class Fit:
    """A machine as npm names it, and as wheels do; None: every machine.

    Wheels of every Python are taken: which ones the clients have is not known here.
    """

    platform: Platform | None = None
    wheels: frozenset[str] | None = None

    def takes(self, file: str) -> bool:
        """Say whether a file of Python's index suits."""
        if not file.endswith(".whl"):
            return False
        try:
            carried = {one.platform for one in parse_wheel_filename(file)[3]}
        except InvalidWheelFilename:
            return False
        if self.wheels is None or "any" in carried or not self.wheels.isdisjoint(carried):
            return True
        return any(word in one for one in carried for word in _WEB)


def read(file: str, text: str, fit: Fit) -> list[Want]:
    """Return what a lock names; ``file`` tells its kind. Raises ProjectError."""
    name = file.rpartition("/")[2]
    if name.endswith(".json"):
        return list(_npm(text, file, fit))
    if name.endswith(".lock") or name.endswith(".toml"):
        return list(_python(text, file))
    if name.endswith((".txt", ".in")):
        return list(_requirements(text, file))
    raise ProjectError(
        f"{file} is no lock that is known here.",
        next_step="Name a package-lock.json, uv.lock, pylock.toml or requirements with hashes.",
    )


def _npm(text: str, file: str, fit: Fit) -> Iterator[Want]:
    for package in npmlock.read(text, file):
        if fit.platform is not None and not package.fits(fit.platform):
            continue
        if package.integrity is None:
            raise _unpinned(file, f"{package.name}@{package.version}")
        yield Want(NPM, package.name, package.version, (package.integrity,))


def _python(text: str, file: str) -> Iterator[Want]:
    for locked in pythonlock.read(text, file):
        if not locked.wheels:
            continue  # only a source distribution: nobody here builds one
        digests = tuple(one.digest for one in locked.wheels if one.digest)
        if not digests:
            raise _unpinned(file, locked.name)
        yield Want(PYTHON, locked.name, locked.version, digests)


def _requirements(text: str, file: str) -> Iterator[Want]:
    for line in _lines(text):
        if line.startswith(("-r", "--requirement", "-c", "--constraint")):
            raise ProjectError(
                f"{file} names another file: {line[:60]}",
                next_step="Name that one too, and take the line out.",
            )
        if line.startswith("-"):
            continue  # where to look: the mirror decides that
        before = line.partition("--hash")[0].strip()
        try:
            requirement = Requirement(before)
            digests = tuple(parse(one) for one in _HASH.findall(line))
        except (InvalidRequirement, ValueError) as error:
            raise ProjectError(f"{file} has a line that cannot be read: {before[:80]}") from error
        pinned = [one.version for one in requirement.specifier if one.operator in ("==", "===")]
        if not digests or not pinned:
            raise _unpinned(file, requirement.name)
        yield Want(PYTHON, canonicalize_name(requirement.name), pinned[0], digests)


def _lines(text: str) -> Iterator[str]:
    """Yield whole lines, continued ones joined, comments and blank ones left out."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        kept = re.sub(r"(^|\s)#.*$", "", line).strip()
        if kept:
            yield kept


def together(wants: Sequence[Want]) -> list[Want]:
    """Return each package once, with all its digests."""
    found: dict[tuple[str, str, str], Want] = {}
    for one in wants:
        key = (one.kind, one.name, one.version)
        known = found[key].digests if key in found else ()
        found[key] = Want(*key, tuple(dict.fromkeys((*known, *one.digests))))
    return list(found.values())


def _unpinned(file: str, what: str) -> ProjectError:
    return ProjectError(
        f"{file} does not say what {what} must be.",
        why="Its entry has no version or no digest, so nobody could check what comes.",
        next_step="Write the lock anew, with digests: npm install, uv lock, or pip-compile "
        "--generate-hashes.",
    )
