"""The worker in front: asks the one behind by a request, and by a call."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/call"):
            return Response(f"front was told {await self.env.BACK.add(20, 22)}")
        answer = await self.env.BACK.fetch("http://back.local/something")
        return Response(f"front was told: {await answer.text()}")
