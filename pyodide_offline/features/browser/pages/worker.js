// The worker: Pyodide, the folder's packages and the app in it. Every request is made here
// through `Files`; one that would leave the folder is refused.

let files, list, pyodide, site, tables, starting = true;
const faults = [];
const native = self.fetch.bind(self);
const actions = { start, ask, add, run };

self.onmessage = async ({ data }) => {
  try {
    const { answer = {}, transfer = [] } = await actions[data.what](data);
    self.postMessage({ id: data.id, ...answer }, transfer);
  } catch (error) {
    self.postMessage({ id: data.id, error: sentence(error) });
  }
};
// What Pyodide throws where nobody waits for it, such as a policy that forbids WebAssembly.
self.addEventListener("unhandledrejection", (event) => {
  self.postMessage({ fault: sentence(event.reason) });
});

async function start({ base, list: given, code }) {
  list = given;
  const { Files, FileError } = await import(code);
  files = new Files(base, list, native);
  const wanted = list.wanted.reduce((sum, name) => sum + list.files[name].size, 0);
  let done = 0;
  self.fetch = async (input, init) => {
    const address = input instanceof Request ? input.url : String(input);
    const name = files.name(address);
    if (name === null) {
      if (list.allow_remote) return native(input, init);
      throw note(new FileError(`${new URL(address, base).host} was asked for, which is outside of this folder.`));
    }
    if (name.startsWith("simple/") && !list.files[name]) return new Response("", { status: 404 });
    const response = await files.get(name, init).catch((error) => { throw note(error); });
    done += list.files[name].size;
    tell(name, done / wanted);
    return response;
  };
  const runtime = `${base}${list.runtime}`;
  // Modules are imported by the browser itself: seen to be the right ones before.
  await Promise.all(list.modules.map(async (name) => (await self.fetch(`${base}${name}`)).arrayBuffer()));
  const { loadPyodide } = await import(files.address(`${list.runtime}pyodide.mjs`));
  pyodide = await loadPyodide({
    indexURL: runtime,
    lockFileURL: `${base}${list.packages}pyodide-lock.json`,
    packageBaseUrl: `${base}${list.packages}`,
    stderr: (text) => console.warn(text),
  }).catch((error) => { throw faults[0] ?? error; });
  tell("packages", done / wanted);
  await pyodide.loadPackage(list.load, { messageCallback: () => {}, errorCallback: () => {} });
  const missing = list.load.filter((name) => !(name in pyodide.loadedPackages));
  if (missing.length) throw faults[0] ?? new Error(`Not loaded: ${missing.join(", ")}.`);
  await place();
  if (list.index) {
    const micropip = pyodide.pyimport("micropip");
    micropip.set_index_urls([`${base}${list.index}{package_name}/`]);
    micropip.destroy();
  }
  if (list.app) await startApp();
  starting = false;
  return {};
}

// Own modules and data into Pyodide's file system, each at the place that list.place names.
async function place() {
  for (const [name, target] of Object.entries(list.place)) {
    const bytes = new Uint8Array(await (await self.fetch(files.address(name))).arrayBuffer());
    pyodide.FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    pyodide.FS.writeFile(target, bytes);
  }
  pyodide.runPython("import sys; sys.path[:0] = ['/folder/python', '/folder/app']");
}

async function startApp() {
  tell("the app", 1);
  const bridge = pyodide.pyimport("pyodide_folder.bridge");
  if (list.app.kind === "datasette") {
    tables = pyodide.pyimport("pyodide_folder.tables");
    site = bridge.Site(await tables.serve(pyodide.toPy(list.app.data), list.title));
  } else {
    site = bridge.Site(bridge.find(list.app.target));
  }
  await site.start();
}

async function ask({ path, method = "GET", headers = [], body = null }) {
  const answer = await site.ask(method, path, pyodide.toPy(headers), new Uint8Array(body ?? 0));
  const [status, pairs, content] = answer.toJs();
  answer.destroy();
  const bytes = content.slice().buffer;
  return { answer: { status, headers: pairs, bytes }, transfer: [bytes] };
}

async function add({ name, bytes }) {
  const target = `/folder/data/${name.replaceAll("/", "_")}`;
  pyodide.FS.mkdirTree("/folder/data");
  pyodide.FS.writeFile(target, new Uint8Array(bytes));
  return { answer: { path: await tables.add(target) } };
}

async function run({ code }) {
  const lines = [];
  pyodide.setStdout({ batched: (text) => lines.push(text) });
  pyodide.setStderr({ batched: (text) => lines.push(text) });
  const value = await pyodide.runPythonAsync(code).catch((error) => error.message);
  if (value !== undefined && value !== null) lines.push(String(value));
  value?.destroy?.();
  return { answer: { text: lines.join("\n") } };
}

// Told at once while Pyodide starts: it does not settle over some of them.
function note(error) {
  faults.push(error);
  if (starting) self.postMessage({ fault: sentence(error) });
  return error;
}

function tell(text, share) {
  self.postMessage({ doing: text, share });
}

// Of a Python traceback the last line says it.
function sentence(error) {
  const text = String(error?.message ?? error).trim();
  return text.startsWith("Traceback") ? text.split("\n").at(-1) : text;
}
