"""Everything that can go wrong for a user, one class a kind, one exit status a class.

A message has three parts: what failed, why, and the next thing to do. The command
line prints them as one to three lines; nothing else in the package prints or exits.
Statuses 0, 1, 2 and 130 are the command line's own (well, what was asked failed,
wrong use, Ctrl-C).
"""

from collections.abc import Mapping
from typing import ClassVar


class PyodideOfflineError(Exception):
    """Root of the tree.

    ``code`` is a stable kebab-case name for scripts, ``exit_status`` the process status,
    ``facts`` what was seen, as values of JSON: for `doctor`, which decides by it.
    """

    code: ClassVar[str] = "failed"
    exit_status: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next_step: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(what)
        self.facts = dict(facts or {})
        self.what = what
        self.why = why
        self.next_step = next_step

    def lines(self) -> list[str]:
        """Return the message as one to three lines, empty parts left out."""
        return [part for part in (self.what, self.why, self.next_step) if part]

    def __str__(self) -> str:
        return " ".join(self.lines())


class NetworkError(PyodideOfflineError):
    """A host could not be reached, or the connection broke.

    ``kind`` is for code that decides what may mend it (``network.refusals.Kind``); empty
    where nothing is to be decided.
    """

    code = "network"
    exit_status = 3

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next_step: str = "",
        kind: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(what, why=why, next_step=next_step, facts=facts)
        self.kind = kind


class RegistryError(PyodideOfflineError):
    """A package registry answered, but not with the package: 401, 404, bad metadata."""

    code = "registry"
    exit_status = 4


class IntegrityError(PyodideOfflineError):
    """Bytes that do not have the digest they must have."""

    code = "integrity"
    exit_status = 5


class AssemblyError(PyodideOfflineError):
    """A bundle cannot be made from these files, with the spot that did not fit."""

    code = "assembly"
    exit_status = 6


class ToolchainError(PyodideOfflineError):
    """A program that the command needs is missing, unfit or failed."""

    code = "toolchain"
    exit_status = 7


class ProjectError(PyodideOfflineError):
    """The user's project or its configuration cannot be used as it is."""

    code = "project"
    exit_status = 8


class StorageError(PyodideOfflineError):
    """The store or the cache folder cannot be read, written or trusted."""

    code = "storage"
    exit_status = 9


class WorkerdError(PyodideOfflineError):
    """The workerd binary could not be started or did not say what was asked of it."""

    code = "workerd"
    exit_status = 10


class UnsupportedError(PyodideOfflineError):
    """Asked for something that this release does not do."""

    code = "unsupported"
    exit_status = 11


class OfflineError(PyodideOfflineError):
    """Something is missing, and ``--offline`` forbids to fetch it."""

    code = "offline"
    exit_status = 12


class SettingsError(PyodideOfflineError):
    """A variable or a config file of ours has a value that cannot be used."""

    code = "settings"
    exit_status = 13


class DepotDownError(PyodideOfflineError):
    """The store that a mirror keeps its things in does not answer, or refuses."""

    code = "depot-down"
    exit_status = 14


class PinChangedError(PyodideOfflineError):
    """An upstream gives other bytes under a name and version that a mirror has seen before.

    ``changes`` has each version's digests: what is pinned, and what came now.
    """

    code = "pin-changed"
    exit_status = 15

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next_step: str = "",
        facts: Mapping[str, object] | None = None,
        changes: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(what, why=why, next_step=next_step, facts=facts)
        self.changes = dict(changes or {})


class ForbiddenError(PyodideOfflineError):
    """A mirror does not go there: an upstream that is not on its list, a private address."""

    code = "forbidden"
    exit_status = 16


class UntrustedError(PyodideOfflineError):
    """A kit that nobody vouches for whom the user trusts: its signature, key or serial."""

    code = "untrusted"
    exit_status = 20
