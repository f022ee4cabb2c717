// Loads a worker in Python while it runs, and lets it answer.
const SOURCE = `
import sys
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("loaded at run time, Python " + sys.version.split()[0])
`;
const FLAGS = ["python_workers", "disable_python_external_sdk"];

export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    if (name === "") return new Response("JavaScript");
    const development = name === "development";
    const worker = env.LOADER.get(name, () => ({
      compatibilityDate: "2026-11-17",
      compatibilityFlags: development ? [...FLAGS, "python_workers_development"] : FLAGS,
      allowExperimental: development,
      mainModule: "entry.py",
      modules: { "entry.py": { py: SOURCE } },
    }));
    return worker.getEntrypoint().fetch(request);
  },
};
