// The same as pyodide.mjs beside it, for pages that load it as a script.

(() => {
  const place = globalThis.document?.currentScript?.src ?? new Error().stack; // a worker has no document
  const here = /(https?:\/\/[^\s()]*\/)pyodide\.js/.exec(place)[1];
  globalThis.loadPyodide = async (options) => (await import(`${here}pyodide.mjs`)).loadPyodide(options);
})();
