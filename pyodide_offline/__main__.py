"""`python -m pyodide_offline` is the command line."""

from pyodide_offline.cli import main

if __name__ == "__main__":
    main()
