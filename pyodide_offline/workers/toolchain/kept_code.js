/*
 * What V8 made of wrangler's large files, kept for the next start. Loaded by --require.
 *
 * Node's own compile cache keeps of these 21 MB of JavaScript what was compiled before they
 * ran, and decodes and hashes them slowly; a third of the time until the first workerd went there.
 * Here V8 is asked once the server has been still for a while, when all that a start needs has
 * been compiled.
 *
 * V8 itself refuses code of another V8 or with other flags. Of the source it compares the
 * length only, so its CRC is compared here, and that of the code too, which V8 trusts. In any
 * doubt Node loads a file as it always does: this may cost time, never a start.
 */
"use strict";

const FOLDER = process.env.PYODIDE_OFFLINE_KEPT_CODE;
const LARGE = 1 << 20; // bytes; all others are Node's own affair
const STILL = 4000; // ms after the last large file was loaded
const KEPT = 8; // files
const HEAD = 16; // bytes: form, CRC of the source, CRC of the code, length of the source
const FORM = 0x31636b6f; // changes with the rules of this file
// What others do to the files that are loaded, or to how: then everything is left to them.
const OTHERS = /(^|\s)(-r|--(require|import|loader|experimental-loader|enable-source-maps|inspect))/;

const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const v8 = require("node:v8");
const vm = require("node:vm");
const zlib = require("node:zlib");

const loadAsNode = Module._extensions[".js"];
const fresh = []; // [where it is to be kept, source, its script]

function able() {
  const { NODE_OPTIONS = "", NODE_V8_COVERAGE, NODE_DISABLE_COMPILE_CACHE } = process.env;
  return (
    FOLDER &&
    process.execArgv.includes("--no-warnings") && // as wrangler has it: Node warns of the next but one
    zlib.crc32 &&
    vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER &&
    !NODE_V8_COVERAGE &&
    !NODE_DISABLE_COMPILE_CACHE &&
    !OTHERS.test(NODE_OPTIONS)
  );
}

function load(module, filename) {
  const script = compiled(filename);
  if (!script) return loadAsNode(module, filename);
  const run = script.runInThisContext();
  return run.call(module.exports, module.exports, requirer(module), module, filename, path.dirname(filename));
}

/** Return a large file's script, from kept code where there is some; nothing for any other file. */
function compiled(filename) {
  try {
    if (fs.statSync(filename).size < LARGE) return undefined;
    const [before, after] = Module.wrapper;
    const whole = wrapped(filename, before, after);
    const source = whole.subarray(before.length, whole.length - after.length);
    if (source[0] === 0x23 || source[0] === 0xef) return undefined; // #! or a BOM: Node's affair
    const place = path.join(FOLDER, `${number(filename)}-${v8.cachedDataVersionTag().toString(16)}`);
    const sum = zlib.crc32(source);
    const cachedData = kept(place, sum, source.length);
    const script = new vm.Script(whole.toString(), {
      filename,
      columnOffset: -before.length,
      cachedData,
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    if (!cachedData || script.cachedDataRejected) later(place, sum, source.length, script);
    release(whole);
    release(cachedData);
    return script;
  } catch {
    return undefined; // an ES module, for one
  }
}

/**
 * Return a file's bytes between two texts, in memory of their own: were the texts joined
 * later, V8 would copy 21 MB once more.
 */
function wrapped(filename, before, after) {
  const file = fs.openSync(filename);
  try {
    const { size } = fs.fstatSync(file);
    const whole = Buffer.allocUnsafeSlow(before.length + size + after.length);
    whole.write(before, 0);
    whole.write(after, before.length + size);
    fill(file, whole.subarray(before.length, before.length + size));
    return whole;
  } finally {
    fs.closeSync(file);
  }
}

function fill(file, bytes) {
  for (let done = 0, read; done < bytes.length; done += read) {
    read = fs.readSync(file, bytes, done, bytes.length - done, null);
    if (!read) throw new Error("it became shorter");
  }
}

/** Give memory back at once: V8 counts it, and over 30 MB it collects all garbage amid a start. */
function release(bytes) {
  bytes?.buffer.transfer?.(0);
}

function number(text) {
  return zlib.crc32(text).toString(16).padStart(8, "0");
}

function kept(place, sum, length) {
  try {
    const all = wrapped(place, "", "");
    const code = all.subarray(HEAD);
    return all.subarray(0, HEAD).equals(head(sum, length, code)) ? code : undefined;
  } catch {
    return undefined;
  }
}

function head(sum, length, code) {
  const words = Buffer.alloc(HEAD);
  [FORM, sum, zlib.crc32(code), length].forEach((word, at) => {
    words.writeUInt32LE(word, at * 4);
  });
  return words;
}

/** The `require` that Node gives a module. */
function requirer(module) {
  const given = (id) => module.require(id);
  given.resolve = (request, options) => Module._resolveFilename(request, module, false, options);
  given.resolve.paths = (request) => Module._resolveLookupPaths(request, module);
  given.main = process.mainModule;
  given.extensions = Module._extensions;
  given.cache = Module._cache;
  return given;
}

function later(place, sum, length, script) {
  // Only what serves: other commands end at once, and compile other functions.
  if (!process.argv.includes("dev")) return;
  fresh.push([place, sum, length, script]);
  if (fresh.length === 1) setTimeout(keep, STILL).unref();
}

function keep() {
  for (const [place, sum, length, script] of fresh.splice(0)) {
    const beside = `${place}.${process.pid}`;
    try {
      const code = script.createCachedData();
      fs.mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
      const file = fs.openSync(beside, "wx", 0o600);
      try {
        fs.writeSync(file, head(sum, length, code));
        fs.writeFileSync(file, code);
        fs.fsyncSync(file);
      } finally {
        fs.closeSync(file);
      }
      fs.renameSync(beside, place);
    } catch {
      fs.rmSync(beside, { force: true }); // a full disk, or two at once
    }
  }
  prune();
}

function prune() {
  try {
    const files = fs.readdirSync(FOLDER).map((name) => path.join(FOLDER, name));
    const times = new Map(files.map((file) => [file, fs.statSync(file).mtimeMs]));
    files.sort((one, other) => times.get(other) - times.get(one));
    for (const file of files.slice(KEPT)) fs.rmSync(file, { force: true });
  } catch {
    // another one prunes
  }
}

if (able()) Module._extensions[".js"] = load;
