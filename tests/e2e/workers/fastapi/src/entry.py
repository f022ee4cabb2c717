"""FastAPI: what comes in is checked by pydantic, whose core is a wasm library."""

import asgi
import pydantic_core
from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


class Item(BaseModel):
    name: str
    amount: int = Field(gt=0)


@app.get("/core")
async def core() -> str:
    return pydantic_core.__version__


@app.post("/items/{number}")
async def items(number: int, item: Item) -> dict[str, int | str]:
    return {"number": number, "name": item.name, "doubled": item.amount * 2}


Default = asgi.entrypoint(app)
