// Shows what the app answers in a frame of its own. Its scripts are taken out (the page's
// policy forbids them as well), its styles and images are asked of the app and put in.

const HOST = "http://browser.invalid"; // RFC 6761 §6.4: never a real host
const REMOVED = "script, base, object, embed, iframe, frame, meta[http-equiv]";

export class View {
  constructor(frame, ask, save) {
    this.frame = frame;
    this.ask = ask;
    this.save = save;
    this.path = "/";
    this.kept = new Map();
    this.turn = 0;
  }

  // Ask the app for a path and show the answer; redirections are followed.
  async visit(path, how = {}) {
    const turn = ++this.turn;
    this.said("…");
    try {
      let answer = await this.ask(path, how);
      for (let hops = 0; hops < 10 && answer.status >= 300 && answer.status < 400; hops++) {
        path = this.inside(header(answer, "location") ?? "/", path) ?? "/";
        answer = await this.ask(path, {});
      }
      if (turn !== this.turn) return;
      this.path = path;
      if (`#${path}` !== location.hash) history.replaceState(null, "", `#${path}`);
      await this.show(answer);
      document.body.dataset.shown = path;
      this.said(answer.status >= 400 ? `The app answered ${answer.status}.` : "");
    } catch (error) {
      this.said(`${path}: ${error.message}`);
    }
  }

  async show(answer) {
    const type = header(answer, "content-type") ?? "";
    const attached = (header(answer, "content-disposition") ?? "").startsWith("attachment");
    this.offer(answer, type);
    if (attached) return this.save.click();
    const text = new TextDecoder().decode(answer.bytes);
    if (!type.startsWith("text/html")) {
      const shown = /^(text\/|application\/(json|.*\+json|xml|javascript))/.test(type);
      const plain = document.implementation.createHTMLDocument(this.path);
      plain.body.append(Object.assign(plain.createElement("pre"), {
        textContent: shown ? text : `${answer.bytes.byteLength} bytes of ${type || "no type"}: save them to look inside.`,
      }));
      return this.render(plain);
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const one of page.querySelectorAll(REMOVED)) one.remove();
    await Promise.all([...page.querySelectorAll("link")].map((one) => this.style(one)));
    await Promise.all([...page.querySelectorAll("img[src]")].map((one) => this.image(one)));
    return this.render(page);
  }

  async render(page) {
    const loaded = new Promise((resolve) => this.frame.addEventListener("load", resolve, { once: true }));
    this.frame.srcdoc = `<!doctype html>${page.documentElement.outerHTML}`;
    await loaded;
    const inside = this.frame.contentDocument;
    document.title = inside.title || this.path;
    inside.addEventListener("click", (event) => this.clicked(event));
    inside.addEventListener("submit", (event) => this.submitted(event));
    inside.addEventListener("dragover", (event) => event.preventDefault());
    inside.addEventListener("drop", (event) => { event.preventDefault(); this.dropped(event.dataTransfer.files); });
    const [, anchor] = this.path.split("#");
    if (anchor) inside.getElementById(decodeURIComponent(anchor))?.scrollIntoView();
  }

  offer(answer, type) {
    const html = type.startsWith("text/html");
    this.save.hidden = html;
    if (html) return;
    URL.revokeObjectURL(this.save.href);
    this.save.href = URL.createObjectURL(new Blob([answer.bytes], { type }));
    const named = /filename="?([^";]+)/.exec(header(answer, "content-disposition") ?? "");
    this.save.download = named?.[1] ?? this.path.split(/[?#]/)[0].split("/").pop() ?? "answer";
  }

  async style(link) {
    const path = link.rel === "stylesheet" && this.inside(link.getAttribute("href"), this.path);
    if (!path) return link.remove();
    const css = await this.part(path, async (answer) => {
      const text = new TextDecoder().decode(answer.bytes);
      const found = [...new Set([...text.matchAll(/url\((["']?)([^"')]+)\1\)/g)].map((one) => one[2]))];
      const data = await Promise.all(found.map((one) => this.data(one, path)));
      return found.reduce((all, one, at) => all.replaceAll(one, data[at]), text);
    });
    const style = link.ownerDocument.createElement("style");
    style.textContent = css;
    if (link.media) style.media = link.media;
    link.replaceWith(style);
  }

  async image(image) {
    image.removeAttribute("srcset");
    image.setAttribute("src", await this.data(image.getAttribute("src"), this.path));
  }

  // A data: address with what an address inside of the app holds.
  async data(address, from) {
    if (address.startsWith("data:")) return address;
    const path = this.inside(address, from);
    if (!path) return "data:,";
    return this.part(path, (answer) => {
      const binary = Array.from(new Uint8Array(answer.bytes), (byte) => String.fromCharCode(byte)).join("");
      return `data:${header(answer, "content-type") ?? ""};base64,${btoa(binary)}`;
    });
  }

  // Parts of pages are asked for once.
  async part(path, use) {
    if (!this.kept.has(path)) {
      const answer = await this.ask(path, {});
      this.kept.set(path, answer.status === 200 ? await use(answer) : "");
    }
    return this.kept.get(path);
  }

  // The path of an address inside of the app, null for one outside.
  inside(address, from) {
    try {
      const url = new URL(address, `${HOST}${from}`);
      return url.origin === HOST || url.hostname === "browser.invalid" ? `${url.pathname}${url.search}${url.hash}` : null;
    } catch {
      return null;
    }
  }

  clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    const address = link.getAttribute("href");
    if (address.startsWith("#")) {
      event.preventDefault();
      this.frame.contentDocument.getElementById(address.slice(1))?.scrollIntoView();
      return;
    }
    const path = this.inside(address, this.path);
    if (path) {
      event.preventDefault();
      this.go(path);
    } else {
      link.target = "_blank";
      link.rel = "noopener noreferrer";
    }
  }

  async submitted(event) {
    const form = event.target;
    const path = this.inside(form.getAttribute("action") || this.path, this.path);
    event.preventDefault();
    if (!path) return;
    const filled = new FormData(form, event.submitter);
    const method = (event.submitter?.formMethod || form.method || "get").toUpperCase();
    if (method === "GET") {
      const query = new URLSearchParams([...filled].filter(([, value]) => typeof value === "string"));
      return this.go(`${path.split(/[?#]/)[0]}?${query}`);
    }
    const plain = form.enctype !== "multipart/form-data";
    const sent = new Response(plain ? new URLSearchParams([...filled]) : filled);
    const headers = [["content-type", sent.headers.get("content-type")]];
    await this.visit(path, { method, headers, body: await sent.arrayBuffer() });
  }
}

function header(answer, name) {
  return answer.headers.find(([key]) => key === name)?.[1];
}
