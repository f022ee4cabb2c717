"""Pyodide in a browser with no network: folders that hold all of it, made, served, verified."""
