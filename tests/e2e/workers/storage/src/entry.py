"""A worker with all that keeps something: KV, R2, a queue, an object, a workflow, cron."""

import json
import time
from urllib.parse import urlsplit

import js
from workers import DurableObject, Response, WorkerEntrypoint, WorkflowEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        place = urlsplit(request.url).path.strip("/").split("/")
        match request.method, *place:
            case "PUT", "kv", key:
                await self.env.KV.put(key, await request.text())
                return Response("kept")
            case "GET", "kv", key:
                return Response(str(await self.env.KV.get(key)))
            case "PUT", "r2", key:
                await self.env.BUCKET.put(key, await request.text())
                return Response("kept")
            case "GET", "r2", key:
                found = await self.env.BUCKET.get(key)
                return Response(f"{found.size} {await found.text()}")
            case "POST", "queue":
                await self.env.JOBS.send(await request.text())
                return Response("sent")
            case "GET", "room", name, "count":
                return Response(str(await self.room(name).count()))
            case "POST", "room", name, "alarm":
                await self.room(name).wake_soon()
                return Response("set")
            case "GET", "room", name, "woken":
                return Response(str(await self.room(name).woken()))
            case "GET", "room", name, "socket":
                return await self.room(name).fetch(request.js_object)
            case "POST", "order", price:
                order = await self.env.ORDER.create({"params": {"price": int(price)}})
                return Response(order.id)
            case "GET", "order", number:
                order = await self.env.ORDER.get(number)
                status = await order.status()
                return Response(json.dumps([status["status"], status["output"]]))
            case "GET", "asset":
                return await self.env.ASSETS.fetch("http://assets.local/page.html")
        return Response("no such page", status=404)

    def room(self, name):
        return self.env.ROOM.get(self.env.ROOM.idFromName(name))

    async def queue(self, batch, env=None, ctx=None):
        for message in batch.messages:
            await self.env.KV.put("job", message.body)
            message.ack()

    async def scheduled(self, controller, env=None, ctx=None):
        await self.env.KV.put("cron", controller.cron)


class Room(DurableObject):
    """Counts in SQLite, wakes itself, and says to a socket what it said."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS events (kind TEXT)")

    def events(self, kind):
        rows = self.sql.exec("SELECT COUNT(*) AS total FROM events WHERE kind = ?", kind)
        return rows.one().total

    async def count(self):
        self.sql.exec("INSERT INTO events VALUES ('visit')")
        return self.events("visit")

    async def wake_soon(self):
        await self.ctx.storage.setAlarm(time.time() * 1000 + 100)

    async def alarm(self, info=None):
        self.sql.exec("INSERT INTO events VALUES ('alarm')")

    async def woken(self):
        return self.events("alarm")

    async def fetch(self, request):
        client, server = js.WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, socket, message):
        socket.send(f"{message} after {self.events('visit')} visits")


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        price = event["payload"]["price"]

        @step.do()
        async def taxed():
            return price * 2

        @step.do()
        async def shipped(taxed):
            return taxed + 5

        await step.sleep("a nap", "100 milliseconds")
        return await shipped()
