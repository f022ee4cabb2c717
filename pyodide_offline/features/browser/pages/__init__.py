"""What lies in a folder beside Pyodide: its page, its worker, and two modules for Python in it."""
