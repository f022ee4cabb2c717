"""Run Cloudflare Python Workers and Pyodide where the network is against it."""

__version__ = "0.1.0"
