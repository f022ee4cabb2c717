// Keeps the folder in the browser, so that the page opens with no server. One cache a folder's
// digest; a file is kept only if it has the digest that folder.json names.

const digest = new URL(self.location).searchParams.get("folder");
const base = self.registration.scope;
const PREFIX = `pyodide-offline ${base} `;

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(take()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(base)) event.respondWith(answer(event.request));
});

async function keep() {
  try {
    const cache = await caches.open(PREFIX + digest);
    const first = await whole("folder.json", digest, "no-cache");
    const list = await first.clone().json();
    await cache.put(`${base}folder.json`, first);
    for (const name of list.kept) {
      const integrity = name === "index.html" ? undefined : list.files[name].integrity;
      await cache.put(address(name), await whole(name, integrity, "force-cache", list.files[name]));
    }
    await self.skipWaiting();
    await tell({ kept: "yes" });
  } catch (error) {
    await caches.delete(PREFIX + digest);
    await tell({ fault: error.message });
    throw error;
  }
}

async function whole(name, integrity, cache, file) {
  const version = file ? `?v=${file.integrity.slice(7, 19).replaceAll("+", "-").replaceAll("/", "_")}` : "";
  try {
    const response = await fetch(`${address(name)}${version}`, integrity ? { integrity, cache } : { cache: "no-cache" });
    if (response.ok) return response;
  } catch { /* said below */ }
  throw new Error(`${name} is missing or altered.`);
}

async function take() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + digest) await caches.delete(name);
  }
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(PREFIX + digest);
  const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
  if (request.mode === "navigate" && (path === "" || path === "index.html")) return page(request, cache);
  const kept = request.cache === "no-store" ? undefined : await cache.match(address(decodeURIComponent(path)));
  return kept ?? fetch(request);
}

// The server's page comes first, since it may be of a newer folder: then nothing kept fits.
async function page(request, cache) {
  const kept = await cache.match(address("index.html"));
  try {
    const fresh = await fetch(request.url, { cache: "no-cache", signal: kept && AbortSignal.timeout(3000) });
    const [, carried] = /data-folder="([^"]+)"/.exec(await fresh.clone().text()) ?? [];
    if (!kept || carried === digest) return fresh;
    if (carried) {
      await caches.delete(PREFIX + digest);
      return fresh;
    }
  } catch (error) {
    if (!kept) throw error;
  }
  return kept;
}

function address(name) {
  return base + name.split("/").map(encodeURIComponent).join("/");
}

async function tell(message) {
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) client.postMessage(message);
}
