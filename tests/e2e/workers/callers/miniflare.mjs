// miniflare's own API, with a worker in Python: ARGV is a folder with node_modules and a file.
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const { Miniflare, convertV4MiniflareOptions } = require("miniflare");
const contents = fs.readFileSync(process.argv[3], "utf8");
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: [{ type: "PythonModule", path: "worker.py", contents }],
    compatibilityDate: "2026-11-17",
    compatibilityFlags: ["python_workers", "disable_python_external_sdk"],
    kvNamespaces: ["KV"],
    cf: false,
  }),
);
const answer = await miniflare.dispatchFetch("http://worker.local/");
console.log(answer.status, await answer.text());
await miniflare.dispose();
