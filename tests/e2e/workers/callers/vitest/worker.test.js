import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

it("is told by Python", async () => {
  const answer = await env.PYTHON.fetch("http://python.local/");
  expect(await answer.text()).toMatch(/^Python 3\.\d+\.\d+, in KV$/);
});
