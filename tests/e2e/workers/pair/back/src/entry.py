"""The worker behind: a page, and a method that others may call."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"back, asked for {request.url.rpartition('/')[2]}")

    async def add(self, a, b):
        return a + b
