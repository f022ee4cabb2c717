"""A command in a network of its own that has nothing but its targets, without root.

The namespaces are made by a child that is forked before there is any thread. The command
starts as soon as they are made: what carries its connections is loaded meanwhile.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import confinement, forbidden, targets, ways
from pyodide_offline.network.confinement import Confined, Plan
from pyodide_offline.network.targets import Group, Listen, Naming, Port, Target
from pyodide_offline.network.ways import Ways
from pyodide_offline.session import Session

if TYPE_CHECKING:
    import asyncio
    import socket

    from pyodide_offline.network.tunnel import Tunnel

Say = Callable[[str], None]
# Where they lead there is no way from inside; and a login is nothing for others' eyes.
_OUTSIDE = {
    "http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "npm_config_proxy",
    "npm_config_http_proxy", "npm_config_https_proxy", "pip_proxy",
    "pyodide_offline_proxy", "pyodide_offline_pac", "pyodide_offline_proxy_user",
    "pyodide_offline_proxy_password",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What is asked for. No targets: what the project's workerd wants.

    ``published`` None: every port that the command listens on.
    """

    targets: Sequence[Target] = ()
    proxies: Sequence[str] = ()
    published: Sequence[Port] | None = None
    wrangler: str | None = None
    naming: Naming = field(default_factory=Naming)


def run(session: Session, words: Sequence[str], say: Say, options: Options | None = None) -> int:
    """Run a command confined and return its exit status.

    Raises UnsupportedError where there can be no such network, with the switch that allows it.
    """
    options = options or Options()
    if sys.platform != "linux":
        raise forbidden.elsewhere({"darwin": "macOS", "win32": "Windows"}.get(sys.platform, "it"))
    wanted = options.targets or _wanted(session, options)
    for one in wanted:
        if one.host.replace(".", "").isdigit() or ":" in one.host:
            raise SettingsError(
                f"{one} is an address: no hosts file can lead it elsewhere.",
                next_step="Name a host, as --target HOST:PORT.",
            )
    groups = targets.plan(Listen(), wanted)
    plan = Plan(
        words,
        inner(session.environ),
        [one.host for one in wanted],
        [(group.address, group.port) for group in groups],
    )
    with confinement.enter(plan) as confined, ExitStack() as stack:
        found = ways.find(session, wanted, options.proxies)
        named = options.published
        listeners = None if named is None else {one: _listener(one, stack) for one in named}
        confined.ready()
        for one in wanted:
            say(f"{one} is all that can be reached, {ways.by(found[one])}")
        return _attend(confined, groups, session, say, found, listeners, options.naming)


def _listener(port: Port, stack: ExitStack) -> "socket.socket":
    from pyodide_offline.network import ports

    return stack.enter_context(ports.listener(targets.LOOPBACK, port.here))


def inner(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the command: without proxies that it cannot reach."""
    return {name: text for name, text in environ.items() if name.lower() not in _OUTSIDE}


def _wanted(session: Session, options: Options) -> list[Target]:
    from pyodide_offline.workers import origin

    return origin.targets(session, "exec", options.wrangler)


def _attend(
    confined: Confined,
    groups: Sequence[Group],
    session: Session,
    say: Say,
    found: Ways,
    named: "Mapping[Port, socket.socket] | None",
    naming: Naming,
) -> int:
    """Run the command; what carries its connections is loaded while it starts."""
    stack = ExitStack()
    names = [one.host for group in groups for one in group.targets]
    carrying: list[Tunnel] = []

    def carry() -> None:
        from pathlib import Path

        from pyodide_offline.network import background, nameserver
        from pyodide_offline.network.dialing import Dialer
        from pyodide_offline.network.published import Publisher
        from pyodide_offline.network.tunnel import Tunnel

        dialer = Dialer(session, found, naming)
        tunnel = Tunnel(groups, dialer.dial, say, listen=confined.listener)
        publisher = Publisher(
            Path(f"/proc/{confined.pid}/net"),
            confined.socket,
            say,
            named=named,
            ours={group.port for group in groups},
        )
        do = stack.enter_context(background.loop("tunnel"))
        do(tunnel.start())
        stack.callback(lambda: do(tunnel.stop()))
        if confined.nameserver is not None:
            answering = do(nameserver.serve(confined.nameserver, names))
            stack.callback(lambda: do(_close(answering)))
        do(publisher.start())
        stack.callback(lambda: do(publisher.stop()))
        carrying.append(tunnel)

    with stack:
        status = confined.attend(carry)
    for one in carrying:
        say(one.statistics.summary())
    return status


async def _close(transport: "asyncio.DatagramTransport") -> None:
    transport.close()
