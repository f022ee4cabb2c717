"""FastAPI: what comes in is checked by pydantic, whose core is a wasm library.

A page is made by Jinja, which needs MarkupSafe, out of what PyYAML has read.
"""

import asgi
import pydantic_core
import yaml
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from pydantic import BaseModel, Field

app = FastAPI()
TEXTS = yaml.safe_load("greeting: Hello")
PAGE = Environment(autoescape=True).from_string("<p>{{ greeting }}, {{ name }}!</p>")


class Item(BaseModel):
    name: str
    amount: int = Field(gt=0)


@app.get("/core")
async def core() -> str:
    return pydantic_core.__version__


@app.get("/page/{name}")
async def page(name: str) -> HTMLResponse:
    return HTMLResponse(PAGE.render(name=name, **TEXTS))


@app.post("/items/{number}")
async def items(number: int, item: Item) -> dict[str, int | str]:
    return {"number": number, "name": item.name, "doubled": item.amount * 2}


Default = asgi.entrypoint(app)
