// Stands where a page expects the CDN's module of this name (see `browser rewrite`): the
// same loadPyodide, which takes everything from this folder whatever a page says of places.

import { loadPyodide as load, version } from "./pyodide/pyodide.mjs";

const here = new URL("./", import.meta.url).href;

export { version };

export function loadPyodide(options = {}) {
  return load({
    ...options,
    indexURL: `${here}pyodide/`,
    lockFileURL: `${here}packages/pyodide-lock.json`,
    packageBaseUrl: `${here}packages/`,
  });
}
