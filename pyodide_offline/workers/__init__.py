"""What workerd, miniflare and pywrangler are, and how workerd gets its Pyodide bundle."""
