"""A worker in one file, which needs no packages: says which Python it is, and keeps a value."""

import sys

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.KV.put("kept", "in KV")
        version = sys.version.split()[0]
        return Response(f"Python {version}, {await self.env.KV.get('kept')}")
