// The files of the folder. Each is fetched with the digest that folder.json names for it, and
// one that is missing or altered is told by its name: a browser says "Failed to fetch" of both.

export class FileError extends Error {}

export class Files {
  constructor(base, list, fetcher) {
    this.base = base;
    this.list = list;
    this.fetcher = fetcher;
  }

  // The name in the folder of an address, null for one outside of it.
  name(address) {
    const url = new URL(address, this.base);
    url.search = url.hash = "";
    if (!url.href.startsWith(this.base)) return null;
    const name = decodeURIComponent(url.href.slice(this.base.length));
    return name.endsWith("/") ? `${name}index.html` : name;
  }

  // With a part of the digest in it, so that a server may call it immutable.
  address(name) {
    const part = this.list.files[name].integrity.slice(7, 19);
    const path = name.split("/").map(encodeURIComponent).join("/");
    return `${this.base}${path}?v=${part.replaceAll("+", "-").replaceAll("/", "_")}`;
  }

  async get(name, init = {}) {
    const file = this.list.files[name];
    if (!file) throw new FileError(`${name} is not in this folder.`);
    return fetched(this.fetcher, this.address(name), { ...init, integrity: file.integrity }, name);
  }
}

export async function fetched(fetcher, address, init, name) {
  try {
    const response = await fetcher(address, init);
    if (response.ok) return response;
    throw new FileError(`${name} is missing: the server answers ${response.status}.`);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(await reason(fetcher, address, name));
  }
}

async function reason(fetcher, address, name) {
  try {
    const again = await fetcher(address, { cache: "no-store" });
    if (!again.ok) return `${name} is missing: the server answers ${again.status}.`;
    return `${name} is altered: it does not have the digest that it was built with.`;
  } catch {
    return `${name} cannot be loaded: the server does not answer, or something on the way refuses.`;
  }
}
