"""Starlette's WebSockets: text and bytes, until the other side has had enough."""

import asgi
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (text := await socket.receive_text()) != "enough":
        await socket.send_text(f"{text} by {socket.path_params['name']}")
    await socket.close(code=4000)


app = Starlette(routes=[WebSocketRoute("/echo/{name}", echo)])
Default = asgi.entrypoint(app)
