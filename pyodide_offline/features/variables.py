"""What `run` would set for its command, for those who start their commands themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyodide_offline import paths, redact
from pyodide_offline.session import Session
from pyodide_offline.workers import advice, command, environment, supply
from pyodide_offline.workers.toolchain import chain


@dataclass(frozen=True)
class Variables:
    """What differs from the user's own environment.

    ``kept_back`` names those whose values hold a password or a token.
    """

    values: Mapping[str, str]
    kept_back: tuple[str, ...] = ()


def variables(
    session: Session,
    before: Mapping[str, str],
    say: Callable[[str], None],
    *,
    policy: str = supply.AUTO,
    wrangler: str | None = None,
    python: str | None = None,
) -> Variables:
    """Bring what the project needs, as `run` does, and return what it would set.

    ``before`` is the environment that they already have. The shim answers itself then, so
    it is told of store, folder and wishes by variables. Raises what `run` raises.
    """
    needs = command.plan(session, ("env",))
    found = chain.get(session, pywrangler=needs.pywrangler, version=wrangler)
    binary = environment.workerd(session.environ, found)
    if needs.worker and needs.worker.is_python:
        supplied = supply.supply(
            session,
            binary,
            needs.worker.date,
            needs.worker.flags,
            policy=policy,
            npm=lambda: found.node.npm,
            python=python,
        )
        say(supplied.sentence())
        environment.synced(session, needs, found, binary, supplied.python_series, python)
        for sentence in advice.of(session, binary, needs.worker, supplied):
            say(sentence)
    environ = environment.of(session, found, binary)
    environ[paths.CACHE_VARIABLE] = str(session.cache_dir)
    environ[paths.STORE_VARIABLE] = str(session.store.root)
    if policy != supply.AUTO:
        environ[supply.POLICY_VARIABLE] = policy
    if python:
        environ[supply.PYTHON_VARIABLE] = python
    return _told(before, environ)


def _told(before: Mapping[str, str], after: Mapping[str, str]) -> Variables:
    from pyodide_offline.network import mirrored

    changed = {name: value for name, value in after.items() if before.get(name) != value}
    secret = tuple(
        name
        for name, value in changed.items()
        if name == mirrored.TOKEN_VARIABLE or redact.text(value) != value
    )
    return Variables({k: changed[k] for k in sorted(changed) if k not in secret}, secret)
