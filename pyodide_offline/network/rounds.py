"""The rounds of one login: from the challenges of a 407 to the next Proxy-Authorization.

A scheme that cannot be done from here gives way to the next one, as long as nothing was
sent that proves the password. What was refused after that is not tried in another way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pyodide_offline.network.challenges import Challenge
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.digest_login import strongest
from pyodide_offline.network.login import SCHEMES, CannotLogInError, Stepper, choose

MAX_ROUNDS = 8  # Kerberos with mutual steps needs three

Trouble = Literal["", "missing", "unknown", "refused"]


@dataclass(frozen=True)
class GivenUp:
    """Why there is no next step: no user known, no scheme that works, refused, or ``problem``."""

    trouble: Trouble = ""
    problem: str = ""


class Rounds:
    """The state of a login over all requests of a handshake.

    ``find`` is called once, when user and password are needed; ``target`` is what the
    request line names, ``method`` what it asks for, ``proxy_host`` whom a ticket is for.
    """

    def __init__(
        self,
        find: Callable[[], Credentials | None],
        *,
        target: str,
        proxy_host: str,
        method: str = "CONNECT",
    ) -> None:
        self.authorization: str | None = None
        self.credentials: Credentials | None = None
        self._find: Callable[[], Credentials | None] | None = find
        self._target = target
        self._method = method
        self._proxy_host = proxy_host
        self._stepper: Stepper | None = None
        self._failed: set[str] = set()
        self._count = 0

    @property
    def proving(self) -> bool:
        """Say whether what is sent now shows that the password is known."""
        return self._stepper is not None and self._stepper.proved

    @property
    def scheme(self) -> str:
        """The scheme in use, or an empty string."""
        return self._stepper.scheme if self._stepper else ""

    @property
    def source(self) -> str:
        """Where user and password are from."""
        return self.credentials.source if self.credentials else ""

    def expect(self, scheme: str) -> None:
        """Begin without being asked, with the scheme of the last time (RFC 7617 §2.2)."""
        self._look_up()
        challenge = Challenge(scheme)
        if stepper := self._choose([challenge]):
            try:
                self.authorization = stepper.step(challenge)
            except CannotLogInError:
                return
            self._stepper = stepper

    def answer(self, offered: Sequence[Challenge], *, closing: bool) -> GivenUp | None:
        """Set ``authorization`` for the next request, or say why there is none.

        ``closing``: it will go over another connection.
        """
        self._look_up()
        self._count += 1
        if self._count > MAX_ROUNDS:
            return GivenUp(problem=f"It asks for a login more than {MAX_ROUNDS} times.")
        while True:
            self._stepper = self._stepper or self._choose(offered)
            if self._stepper is None:
                known = self.credentials is not None and self.credentials.known
                able = any(one.scheme in SCHEMES for one in offered)
                return GivenUp("missing" if able and not known else "unknown")
            challenge = _for(self._stepper.scheme, offered)
            try:
                value = self._stepper.step(challenge)
            except CannotLogInError:
                value = None
            if value is not None:
                self.authorization = value
                if closing and challenge.token and self._stepper.same_connection:
                    return GivenUp(problem="It closes the connection in the middle of the login.")
                return None
            if self._stepper.proved:
                return GivenUp("refused")
            self._failed.add(self._stepper.scheme)
            self._stepper = None

    def _look_up(self) -> None:
        find, self._find = self._find, None
        if find is not None:
            self.credentials = find()

    def _choose(self, offered: Sequence[Challenge]) -> Stepper | None:
        return choose(
            offered,
            self.credentials,
            target=self._target,
            method=self._method,
            proxy_host=self._proxy_host,
            without=self._failed,
        )


def _for(scheme: str, offered: Sequence[Challenge]) -> Challenge:
    """Return the challenge of this scheme that is to be answered."""
    mine = [one for one in offered if one.scheme == scheme]
    if scheme == "digest":
        mine = strongest(mine)
    return mine[0] if mine else Challenge(scheme)
