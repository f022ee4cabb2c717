// The page: starts the worker, says what is loading, shows the app's answers, and in place of
// an endless wheel says which file or step failed.

const base = new URL("./", location.href.split(/[?#]/)[0]).href;
const part = (id) => document.getElementById(id);
const waiting = new Map();
let files, list, worker, view, timer, count = 0, failed = false;

part("late").remove();
main().catch(fail);

async function main() {
  show("progress", "bar");
  doing("folder.json", 0);
  list = await (await own("folder.json", document.documentElement.dataset.folder)).json();
  const code = list.files["page/files.js"];
  await own("page/files.js", code.integrity, versioned("page/files.js", code));
  const { Files } = await import(versioned("./files.js", code));
  files = new Files(base, list, fetch.bind(window));
  const early = ["page/page.css", "page/view.js", "page/worker.js", "sw.js"];
  await Promise.all([pageItself(), ...early.map((name) => files.get(name))]);
  worker = new Worker(files.address("page/worker.js"), { type: "module" });
  worker.onmessage = heard;
  worker.onerror = (event) => fail(event.message || "page/worker.js does not run.");
  await call("start", { base, list, code: files.address("page/files.js") });
  clearTimeout(timer);
  hide("progress");
  part("state").textContent = "";
  if (list.app) await startApp();
  else startConsole();
  document.body.dataset.ready = "yes";
  await remember();
}

// Until files.js is known to be the right one, this is all there is.
async function own(name, integrity, path = name) {
  const failure = (what) => new Error(`${name} ${what}`);
  const response = await fetch(`${base}${path}`, { integrity }).catch(async () => {
    const again = await fetch(`${base}${name}`, { cache: "no-store" }).catch(() => null);
    if (!again) throw failure("cannot be loaded: the server does not answer.");
    if (!again.ok) throw failure(`is missing: the server answers ${again.status}.`);
    throw failure("is altered: it does not have the digest that it was built with.");
  });
  if (!response.ok) throw failure(`is missing: the server answers ${response.status}.`);
  return response;
}

function versioned(path, file) {
  const part = file.integrity.slice(7, 19).replaceAll("+", "-").replaceAll("/", "_");
  return `${path}?v=${part}`;
}

// index.html carries the digest of folder.json; its own is taken with that one blanked.
async function pageItself() {
  if (!crypto.subtle) return; // plain http from another machine: only `verify` can tell then
  const text = await (await fetch(`${base}index.html`)).text();
  const blank = text.replace(/data-folder="sha256-[^"]+"/, `data-folder="sha256-${"A".repeat(43)}="`);
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(blank));
  const digest = `sha256-${btoa(String.fromCharCode(...new Uint8Array(bytes)))}`;
  if (digest !== list.files["index.html"].integrity) {
    throw new Error("index.html is altered: it does not have the digest that it was built with.");
  }
}

function call(what, more = {}, transfer = []) {
  const id = ++count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, what, ...more }, transfer);
  });
}

function heard({ data }) {
  if (data.fault) return fail(data.fault);
  if (data.doing) return doing(data.doing, data.share);
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error) reject(new Error(data.error));
  else resolve(data);
}

// Nothing heard for the folder's time limit is an error too.
function doing(text, share) {
  part("doing").textContent = `Loading: ${text}`;
  part("meter").value = share;
  clearTimeout(timer);
  const seconds = list?.limit ?? 120;
  timer = setTimeout(() => fail(`Nothing happened for ${seconds} s, after: ${text}.`), seconds * 1000);
}

function fail(error) {
  clearTimeout(timer);
  if (failed) return;
  failed = true;
  worker?.terminate();
  hide("progress", "view", "console");
  show("bar", "error");
  const said = error instanceof Error ? error.message : String(error);
  part("error").textContent = `This page cannot start.\n\n${said}\n\nCheck the folder: pyodide-offline browser verify DIR`;
  document.body.dataset.ready = "no";
}

async function startApp() {
  const { View } = await import(files.address("page/view.js"));
  view = new View(part("view"), (path, how) => call("ask", { path, ...how }), part("save"));
  view.go = (path) => { location.hash = `#${path}`; };
  view.said = (text) => { part("state").textContent = text; };
  view.dropped = open;
  show("view");
  if (list.app.data) {
    show("open");
    part("file").onchange = (event) => open(event.target.files);
    acceptDrops(document);
    if (list.allow_remote) await openRemote();
  }
  window.onhashchange = () => view.visit(location.hash.slice(1) || "/");
  await view.visit(location.hash.slice(1) || "/");
}

function startConsole() {
  show("console");
  part("console").onsubmit = async (event) => {
    event.preventDefault();
    part("output").textContent = "…";
    const { text } = await call("run", { code: part("code").value }).catch((error) => ({ text: error.message }));
    part("output").textContent = text;
  };
}

function acceptDrops(target) {
  const over = (event, is) => { event.preventDefault(); document.body.classList.toggle("over", is); };
  target.addEventListener("dragover", (event) => over(event, true));
  target.addEventListener("dragleave", (event) => over(event, false));
  target.addEventListener("drop", (event) => { over(event, false); open(event.dataTransfer.files); });
}

async function open(chosen) {
  for (const file of chosen) {
    part("state").textContent = `Reading ${file.name}`;
    try {
      const bytes = await file.arrayBuffer();
      const { path } = await call("add", { name: file.name, bytes }, [bytes]);
      part("state").textContent = "";
      if (location.hash === `#${path}`) await view.visit(path);
      else location.hash = `#${path}`;
    } catch (error) {
      part("state").textContent = `${file.name}: ${error.message}`;
    }
  }
}

async function openRemote() {
  for (const address of new URLSearchParams(location.search).getAll("url")) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address} answered ${response.status}.`);
    const name = decodeURIComponent(new URL(address).pathname.split("/").pop()) || "remote.db";
    await open([new File([await response.blob()], name)]);
  }
}

// From the second visit on the page needs no server, where a browser allows that. Either way
// each file has been looked at then, those too that were not needed to start.
async function remember() {
  const digest = document.documentElement.dataset.folder;
  const heard = ({ data }) => {
    if (data.kept) document.body.dataset.kept = data.kept;
    if (data.fault) warn(data.fault);
  };
  const address = `sw.js?folder=${encodeURIComponent(digest)}`;
  const workers = navigator.serviceWorker;
  workers?.addEventListener("message", heard);
  const registration = await workers?.register(address).catch(() => null);
  if (registration?.active && !registration.installing) document.body.dataset.kept = "yes";
  if (registration) return;
  for (const name of list.kept) await files.get(name).catch((error) => warn(error.message));
  document.body.dataset.kept = "no";
}

function warn(text) { part("warning").textContent = text; }
function show(...ids) { for (const id of ids) part(id).hidden = false; }
function hide(...ids) { for (const id of ids) part(id).hidden = true; }
