"""Node, wrangler, pywrangler and uv: what is installed, and what is brought from registries.

Nothing global is changed: what is brought lies in the store, and the environment of the
command that is run points there.
"""

from pyodide_offline.workers.toolchain.chain import Toolchain, find, provide

__all__ = ["Toolchain", "find", "provide"]
