"""A Starlette worker that goes where `to` says, in each way that Python has."""

import asgi
import urllib3
from pyodide.http import pyfetch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from workers import fetch


async def by_workers(request: Request) -> PlainTextResponse:
    answer = await fetch(request.query_params["to"])
    return PlainTextResponse(await answer.text(), answer.status)


async def by_pyodide(request: Request) -> PlainTextResponse:
    answer = await pyfetch(request.query_params["to"])
    return PlainTextResponse(await answer.string(), answer.status)


async def by_urllib3(request: Request) -> PlainTextResponse:
    answer = urllib3.request("POST", request.query_params["to"], body=b"by urllib3")
    return PlainTextResponse(answer.headers["x-digest"], answer.status)


app = Starlette(
    routes=[
        Route("/workers", by_workers),
        Route("/pyodide", by_pyodide),
        Route("/urllib3", by_urllib3),
    ]
)
Default = asgi.entrypoint(app)
