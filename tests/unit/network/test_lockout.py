"""A password that was refused is not sent again."""

import asyncio

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network.credentials import Credentials
from pyodide_offline.network.lockout import PAUSE, Lockout
from pyodide_offline.network.proxies import parse

_PROXY = parse("http://proxy:3128", "HTTPS_PROXY")
_JOE = Credentials("joe", "hunter2")


def _try(lockout: Lockout, credentials: Credentials = _JOE) -> bool:
    async def once() -> bool:
        try:
            async with lockout.trial(_PROXY, credentials):
                return True
        except NetworkError:
            return False

    return asyncio.run(once())


def test_it_is_remembered_for_a_while_for_this_password_only() -> None:
    now = [0.0]
    lockout = Lockout(lambda: now[0])
    assert _try(lockout)
    lockout.failed(_PROXY, _JOE, NetworkError("No."))
    assert not _try(lockout)
    assert _try(lockout, Credentials("joe", "another"))
    now[0] = PAUSE
    assert _try(lockout)


def test_once_forgotten_it_is_tried_again() -> None:
    lockout = Lockout()
    lockout.failed(_PROXY, _JOE, NetworkError("No."))
    assert not _try(lockout)
    lockout.forget()
    assert _try(lockout)


def test_the_scheme_of_a_good_login_is_kept_until_it_is_refused() -> None:
    lockout = Lockout()
    assert lockout.scheme(_PROXY) == ""
    lockout.went_well(_PROXY, _JOE, "ntlm")
    assert lockout.scheme(_PROXY) == "ntlm"
    lockout.failed(_PROXY, _JOE, NetworkError("No."))
    assert lockout.scheme(_PROXY) == ""


def test_one_tries_and_the_others_wait_for_the_outcome() -> None:
    async def run(good: bool) -> tuple[int, int]:
        lockout, inside, most = Lockout(), [0], [0]

        async def one() -> None:
            async with lockout.trial(_PROXY, _JOE):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                await asyncio.sleep(0)
                if good:
                    lockout.went_well(_PROXY, _JOE, "basic")
                else:
                    lockout.failed(_PROXY, _JOE, NetworkError("No."))
                await asyncio.sleep(0)
                inside[0] -= 1

        outcomes = await asyncio.gather(*(one() for _ in range(9)), return_exceptions=True)
        return most[0], sum(isinstance(one, NetworkError) for one in outcomes)

    assert asyncio.run(run(False)) == (1, 8)
    assert asyncio.run(run(True))[1] == 0


def test_a_password_is_in_no_text() -> None:
    lockout = Lockout()
    lockout.failed(_PROXY, _JOE, NetworkError("No."))
    with pytest.raises(NetworkError) as caught:
        asyncio.run(_raise(lockout))
    assert "hunter2" not in f"{caught.value!r} {lockout!r}"


async def _raise(lockout: Lockout) -> None:
    async with lockout.trial(_PROXY, _JOE):
        pass
