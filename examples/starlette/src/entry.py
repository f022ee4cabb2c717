"""A Cloudflare Worker with Starlette: a page, a form and a counter on D1."""

import sys
from html import escape

import asgi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from workers import WorkerEntrypoint

HOME = """<!doctype html>
<title>Hello</title>
<h1>Hello from Starlette</h1>
<ul>
<li><a href="/form">a form</a></li>
<li><a href="/counter">a counter</a></li>
</ul>
"""

FORM = """<!doctype html>
<title>Form</title>
<form method="post">
<label>Your name <input name="name" required></label>
<button>Send</button>
</form>
"""

CREATE = "CREATE TABLE IF NOT EXISTS page_views (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"

# One statement, so that two requests at once never read the same value.
INCREMENT = """
INSERT INTO page_views (name, value) VALUES ('visits', 1)
ON CONFLICT (name) DO UPDATE SET value = value + 1
RETURNING value
"""


async def home(_: Request) -> Response:
    return HTMLResponse(HOME)


async def form(request: Request) -> Response:
    if request.method != "POST":
        return HTMLResponse(FORM)
    async with request.form() as fields:
        name = fields.get("name", "")
    if not isinstance(name, str) or not name:
        return PlainTextResponse("Please give a name.\n", status_code=400)
    return HTMLResponse(f"<!doctype html>\n<p>Hello, {escape(name)}!</p>\n")


async def counter(request: Request) -> Response:
    database = request.scope["env"].DB
    await database.prepare(CREATE).run()
    value = await database.prepare(INCREMENT).first("value")
    return PlainTextResponse(f"{int(value)}\n")


async def version(_: Request) -> Response:
    return PlainTextResponse(f"{sys.version}\n")


app = Starlette(
    routes=[
        Route("/", home),
        Route("/form", form, methods=["GET", "POST"]),
        Route("/counter", counter),
        Route("/version", version),
    ]
)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request.js_object, self.env)
