// getPlatformProxy: the bindings of a worker in Python, without the worker.
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const { getPlatformProxy } = require("wrangler");
const { env, dispose } = await getPlatformProxy({ configPath: process.argv[3], persist: false });
await env.KV.put("name", "Ada");
console.log(await env.KV.get("name"));
await dispose();
