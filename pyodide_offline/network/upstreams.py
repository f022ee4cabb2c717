"""The proxies of one command, from all places where they may be named.

``--proxy``, else the PAC file, else the variables, else npm's and pip's settings; NO_PROXY
takes targets out of all of them (rules: ``proxies``). Files are read when the first target
is asked for, once.
"""

from collections.abc import Sequence
from functools import cached_property

from pyodide_offline.network import proxies
from pyodide_offline.network.proxies import Borrowed, Upstream
from pyodide_offline.session import Session


class Upstreams:
    """What ``for_target`` needs, read once. ``named`` stands in for the session's proxies."""

    def __init__(self, session: Session, named: Sequence[str] = ()) -> None:
        self._session = session
        self._named = tuple(named) or session.proxies
        self._without_pac = False

    def for_target(
        self, scheme: str, host: str, port: int, *, heed_no_proxy: bool = True
    ) -> list[Upstream]:
        """Return the proxies for a target in the order to try them; an empty list is: direct.

        ``scheme`` is the target's, "https" for what is tunnelled. Raises SettingsError for
        a proxy or a PAC file that cannot be used.
        """
        environ = self._session.environ
        if not heed_no_proxy:
            environ = {key: one for key, one in environ.items() if key.lower() != "no_proxy"}
        if not self._named and self._session.pac and not self._without_pac:
            if proxies.exempt(environ, host, port):
                return []
            if (found := self._by_script(scheme, host, port)) is not None:
                return found
        return proxies.for_target(
            environ, scheme, host, port, named=self._named, borrowed=lambda: self._borrowed
        )

    @cached_property
    def _borrowed(self) -> Sequence[Borrowed]:
        from pyodide_offline.network import borrowed

        return borrowed.read(self._session.environ, self._session.project)

    def _by_script(self, scheme: str, host: str, port: int) -> list[Upstream] | None:
        from pyodide_offline.network import pacfile

        try:
            script = pacfile.load(self._session.pac, self._session.environ)
        except pacfile.UnreachablePacError as error:
            self._without_pac = True
            self._session.progress.note(f"the PAC file is not there ({error}): going on without it")
            return None
        return script.upstreams(scheme, host, port)
