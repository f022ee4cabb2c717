"""What a front tells of itself: its health, its figures, its interface, its page."""

import asyncio
from collections.abc import Mapping

from pyodide_offline.features.mirror import openapi, replies
from pyodide_offline.features.mirror.census import Census
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.events import CONTENT_TYPE, Events
from pyodide_offline.features.mirror.health import Health
from pyodide_offline.features.mirror.replies import App, Receive, Reply, Scope, Send
from pyodide_offline.features.mirror.status import Status


def pages(depot: Depot, events: Events, health: Health) -> Mapping[str, App]:
    """Return the front's own pages by path."""
    status = Status(events, health, Census(depot), depot.label)
    description = replies.as_json(openapi.document())

    async def metrics(scope: Scope, _receive: Receive, send: Send) -> None:
        body = await asyncio.to_thread(events.metrics)
        await Reply(200, body, {"content-type": CONTENT_TYPE}).send(scope, send)

    async def interface(scope: Scope, _receive: Receive, send: Send) -> None:
        await description.send(scope, send)

    return {
        "/": status.page,
        "/healthz": health.live,
        "/readyz": health.ready,
        "/metrics": metrics,
        "/openapi.json": interface,
    }
