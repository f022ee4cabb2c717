// The worker in Python is a second one, which the tests reach as a service.
import fs from "node:fs";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const python = {
  name: "python",
  modules: [
    { type: "PythonModule", path: "worker.py", contents: fs.readFileSync("worker.py", "utf8") },
  ],
  compatibilityDate: "2026-10-12",
  compatibilityFlags: ["python_workers", "disable_python_external_sdk"],
  kvNamespaces: ["KV"],
};

export default defineConfig({
  plugins: [
    cloudflareTest({
      miniflare: {
        compatibilityDate: "2026-10-12",
        serviceBindings: { PYTHON: "python" },
        workers: [python],
      },
    }),
  ],
});
