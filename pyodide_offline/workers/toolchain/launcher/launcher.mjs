// Runs Python's own main on Pyodide in Node: first argument the program as it was called,
// then Python's arguments. The machine's folders are Python's folders.

import { readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "./pyodide.mjs";

// Pyodide has its own of these; its standard library lies in /lib.
const ITS_OWN = new Set(["dev", "lib", "proc", "sys"]);

const [program, ...args] = process.argv.slice(2);
// Absolute, or sys.prefix becomes "/"; links kept, or a virtual environment is not seen.
const executable = resolve(program);

function mountMachine(FS) {
  for (const entry of readdirSync("/")) {
    if (ITS_OWN.has(entry)) continue;
    const path = `/${entry}`;
    try {
      FS.mkdirTree(path);
      FS.mount(FS.filesystems.NODEFS, { root: path }, path);
    } catch {
      // A file at the top, or a folder that this user may not read.
    }
  }
  FS.chdir(process.cwd());
}

const pyodide = await loadPyodide({
  indexURL: dirname(fileURLToPath(import.meta.url)),
  args,
  // With PYTHONINSPECT unset Pyodide sets it, and Python's exit status is lost.
  env: { ...process.env, PYTHONEXECUTABLE: executable, PYTHONINSPECT: "" },
  fsInit: mountMachine,
  _sysExecutable: executable,
});

let status;
try {
  status = pyodide._module._run_main();
} catch (error) {
  if (error?.constructor?.name !== "ExitStatus") throw error;
  status = error.status;
}
process.exit(status);
