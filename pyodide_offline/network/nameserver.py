"""DNS for a confined command (RFC 1035): its targets are on loopback, and nothing else exists.

For programs that ask name servers by themselves, past the hosts file (c-ares' queries,
``dig``). An answer is a matter of this process: no query goes anywhere.
"""

import asyncio
import socket
from collections.abc import Collection

from pyodide_offline.network.seen import LOOPBACK


def answer(wire: bytes, names: Collection[str]) -> bytes | None:
    """Return the answer to a query; None for what is no query.

    There are A records of the names, no other record of them, and no other name.
    """
    import dns.exception
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    try:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query, recursion_available=True)
        (question,) = query.question
    except (dns.exception.DNSException, ValueError):
        return None
    if question.name.to_text(omit_final_dot=True).lower() not in names:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", LOOPBACK))
    return response.to_wire()


async def serve(sock: socket.socket, names: Collection[str]) -> asyncio.DatagramTransport:
    """Answer what comes to a bound UDP socket, until the transport is closed."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answering(names), sock=sock)
    return transport


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, names: Collection[str]) -> None:
        self._names = set(names)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        made = answer(data, self._names)
        if made is not None and self._transport is not None:
            self._transport.sendto(made, addr)
