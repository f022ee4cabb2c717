// Run by Node, not by a browser: Pyodide from a folder on disk, with every request forbidden.
//   node inside.mjs verify DIR     starts it as the worker would, asks the app for its first page
//   node inside.mjs compile DIR    byte code in place of source in the folder's pure wheels

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [action, dir] = process.argv.slice(2);
const asked = [];
globalThis.fetch = (address) => {
  asked.push(String(address?.url ?? address));
  throw new Error(`a request for ${asked.at(-1)}, which is forbidden here`);
};
const began = performance.now();
const list = JSON.parse(readFileSync(process.argv[4] ?? join(dir, "folder.json"), "utf8"));
const { loadPyodide } = await import(pathToFileURL(join(dir, list.runtime, "pyodide.mjs")).href);
const pyodide = await loadPyodide({
  indexURL: join(dir, list.runtime),
  lockFileURL: join(dir, list.packages, "pyodide-lock.json"),
  packageBaseUrl: join(dir, list.packages, "/"),
  stdout: (text) => console.error(text),
});
console.log(JSON.stringify({ ...await { verify, compile }[action](), asked }));

async function verify() {
  const said = [];
  await pyodide.loadPackage(list.load, { messageCallback: () => {}, errorCallback: (text) => said.push(text) });
  const missing = list.load.filter((name) => !(name in pyodide.loadedPackages));
  if (missing.length) return { fault: `Not loaded: ${missing.join(", ")}. ${said.join(" ")}` };
  const loaded = performance.now();
  for (const [name, target] of Object.entries(list.place)) {
    pyodide.FS.mkdirTree(dirname(target));
    pyodide.FS.writeFile(target, readFileSync(join(dir, name)));
  }
  pyodide.runPython("import sys; sys.path[:0] = ['/folder/python', '/folder/app']");
  for (const name of list.imports) {
    try {
      pyodide.pyimport(name).destroy();
    } catch (error) {
      return { fault: `${name} cannot be imported: ${last(error)}` };
    }
  }
  let status = null;
  if (list.app) {
    try {
      status = await firstPage();
    } catch (error) {
      return { fault: `The app does not start: ${last(error)}` };
    }
  }
  return { packages: list.load.length, status, loaded: (loaded - began) / 1000, seconds: (performance.now() - began) / 1000 };
}

async function firstPage() {
  const bridge = pyodide.pyimport("pyodide_folder.bridge");
  const app = list.app.kind === "datasette"
    ? await pyodide.pyimport("pyodide_folder.tables").serve(pyodide.toPy(list.app.data), list.title)
    : bridge.find(list.app.target);
  const site = bridge.Site(app);
  await site.start();
  const answer = await site.ask("GET", "/", pyodide.toPy([]), new Uint8Array());
  return answer.toJs()[0];
}

function compile() {
  pyodide.FS.mkdirTree("/packages");
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: join(dir, list.packages) }, "/packages");
  pyodide.globals.set("source", readFileSync(join(import.meta.dirname, "compile.py"), "utf8"));
  return { compiled: pyodide.runPython("names = {}; exec(source, names); names['wheels']('/packages')").toJs() };
}

function last(error) {
  return String(error?.message ?? error).trim().split("\n").at(-1);
}
