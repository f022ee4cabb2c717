// The module `emscriptenSetup` of workerd's releases before November 2026.
//
// It stands behind npm's Emscripten file, rewritten by glue.py, in one module. workerd
// calls instantiateEmscriptenModule and gets the Emscripten Module back with Python's
// memory not yet started; the rest (snapshots, packages, Python's main) it does itself.
// One text serves four interfaces, because the arguments are told apart by their types:
//   (isWorkerd, zip, wasm) January to June 2026, (zip, wasm) to October, (wasm) after that.
// In front of this text stands, by interface, either
//   import unsafeEval from "internal:unsafe-eval";     or     const unsafeEval = null;

// Names of browsers that the generated code asks for at its head; workerd has neither.
var location = undefined;
function addEventListener() {}

// Behind a compatibility flag in some releases. Nothing here lives long enough to matter.
const FinalizationRegistry = globalThis.FinalizationRegistry ?? class {
  register() {}
  unregister() {}
};

// -- what the rewritten spots call -----------------------------------------------------

let compiler = unsafeEval;

// The first interface hands a compiler over later, and allows plain compilation until then.
function newWasmModule(bytes) {
  return compiler ? compiler.newWasmModule(bytes) : new WebAssembly.Module(bytes);
}

async function wasmInstantiate(source, imports) {
  const module = source instanceof WebAssembly.Module ? source : newWasmModule(source);
  return { module, instance: new WebAssembly.Instance(module, imports) };
}

let lastNow = 0;

// workerd's clock stands still, and Python takes a folder of the same time for unchanged.
function monotonicDateNow() {
  lastNow = Math.max(Date.now(), lastNow + 1);
  return lastNow;
}

let entropy = () => {
  throw new Error("Pyodide asked for random numbers before workerd could give any");
};

function getRandomValues(Module, array) {
  return entropy(Module, array);
}

// Shared libraries lie in a file system that only workerd may read, and compile from.
function patchedLoadLibData(Module, name, rpath) {
  const path = name.startsWith("/") ? name : Module.findLibraryFS(name, rpath);
  return Module.compileModuleFromReadOnlyFS(Module, path);
}

// -- starting Emscripten -----------------------------------------------------------------

// One value of reference type by which Pyodide marks an error on its way through wasm.
function addSentinel(imports) {
  const mark = Object.freeze({ name: "error marker" });
  const make = () => mark;
  const check = (value) => value === mark;
  imports.sentinel = { create_sentinel: make, is_sentinel: check };
  Object.assign((imports.env ??= {}), { Jsv_GetError_import: make, JsvError_Check: check });
}

function pythonVersion(Module) {
  if (Module._py_version_major) {
    return [Module._py_version_major(), Module._py_version_minor(), Module._py_version_micro()];
  }
  // CPython's Py_Version: major, minor, micro in the upper three bytes (C API, "Py_Version").
  const word = Module.HEAPU32[Module._Py_Version >>> 2];
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255];
}

function prepareFiles(Module, zip) {
  const { FS, API, ENV } = Module;
  const { env } = API.config;
  API.pyVersionTuple = pythonVersion(Module);
  const [major, minor] = API.pyVersionTuple;
  FS.sitePackages = `/lib/python${major}.${minor}/site-packages`;
  FS.sessionSitePackages = `/session${FS.sitePackages}`;
  API.sitePackages = FS.sitePackages;
  FS.mkdirTree(FS.sitePackages);
  FS.mkdirTree(`/lib/python${major}.${minor}/lib-dynload`);
  FS.mkdirTree(env.HOME);
  FS.chdir(env.HOME);
  if (zip) {
    FS.writeFile(`/lib/python${major}${minor}.zip`, new Uint8Array(zip));
  }
  const libraries = "/session/metadata/python_modules/lib/";
  Module.LD_LIBRARY_PATH = ["/usr/lib", FS.sitePackages, libraries].join(":");
  Object.assign(ENV, env, { LD_LIBRARY_PATH: Module.LD_LIBRARY_PATH });
}

function settings(wasm, zip, ready) {
  const config = {
    jsglobals: globalThis,
    env: { HOME: "/session", PYTHONHASHSEED: "111" },
    lockFileURL: "",
    packages: [],
    fullStdLib: false,
    enableRunUntilComplete: true,
  };
  const runtimeEnv = { IN_WORKERD: true, IN_BROWSER: true, IN_BROWSER_MAIN_THREAD: true };
  return {
    noImageDecoding: true,
    noAudioDecoding: true,
    noWasmDecoding: false,
    API: { config, runtimeEnv },
    preRun: [
      (Module) => {
        prepareFiles(Module, zip);
        // workerd removes this one when it has put libraries and snapshot in place.
        Module.addRunDependency("dynlibs");
        ready(Module);
      },
    ],
    instantiateWasm(imports, done) {
      addSentinel(imports);
      done(new WebAssembly.Instance(wasm, imports), wasm);
      return {};
    },
  };
}

// Emscripten must take this for a page of a browser, but nobody else may see these.
const PRETENDED = {
  window: { sessionStorage: {} },
  document: { createElement() {} },
  sessionStorage: {},
  importScripts: undefined,
  WorkerGlobalScope: undefined,
  process: undefined,
};

function pretending(action) {
  const before = Object.keys(PRETENDED).map((name) => [
    name,
    Object.getOwnPropertyDescriptor(globalThis, name),
  ]);
  try {
    for (const [name, value] of Object.entries(PRETENDED)) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
    return action();
  } finally {
    for (const [name, descriptor] of before) {
      delete globalThis[name];
      if (descriptor) {
        Object.defineProperty(globalThis, name, descriptor);
      }
    }
  }
}

export async function instantiateEmscriptenModule(...given) {
  const wasm = given.find((one) => one instanceof WebAssembly.Module);
  const zip = given.find((one) => one instanceof ArrayBuffer || ArrayBuffer.isView(one));
  const ready = new Promise((resolve, reject) => {
    const options = settings(wasm, zip, resolve);
    if (given[0] === true) {
      options.API.lockFilePromise = new Promise((found) => {
        options.API.config.resolveLockFilePromise = found;
      });
    }
    // Its own promise waits for what workerd does later: only its failure is of interest.
    pretending(() => _createPyodideModule(options)).catch(reject);
  });
  const Module = await ready;
  Module.setUnsafeEval = (given) => {
    compiler = given;
  };
  Module.setGetRandomValues = (given) => {
    entropy = given;
  };
  Module.setSetTimeout = (setTimeout, clearTimeout, setInterval, clearInterval) => {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
  };
  return Module;
}
