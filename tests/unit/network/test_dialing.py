"""Which way a target is dialled, and what is not dialled."""

import asyncio

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import dialing
from pyodide_offline.network.targets import Target


def test_a_target_that_leads_back_here_is_not_dialled(session):
    async def play():
        target = Target("localhost", 443)
        dialer = dialing.Dialer({}, {target: ()})
        dialer.listening = [("127.0.0.1", 443)]
        dialer._known[target] = ["127.0.0.1", "::1"]
        with pytest.raises(NetworkError, match="no address but this tunnel's own"):
            await dialer.dial(target)

    asyncio.run(play())
