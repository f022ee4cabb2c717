"""What Emscripten is to a package: its markers (PEP 508) and the wheels that it takes.

A resolver that runs on this machine would answer ``sys_platform == "emscripten"`` for this
machine, so it is given these answers instead. Platform tags: PEP 783 (``pyemscripten_…``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One Pyodide: ``python`` is its full version, ``abi`` its PEP 783 year and patch."""

    python: str
    abi: str

    @property
    def series(self) -> str:
        """Return ``3.14`` of ``3.14.2``."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platform(self) -> str:
        """Return the platform tag of its compiled wheels."""
        return f"pyemscripten_{self.abi}_wasm32"

    def markers(self) -> dict[str, str]:
        """Return each variable of PEP 508 as Pyodide's own Python answers it."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": "wasm32",
            "platform_python_implementation": "CPython",
            "platform_release": "4.0.9",
            "platform_system": "Emscripten",
            "platform_version": "#1",
            "python_full_version": self.python,
            "python_version": self.series,
            "sys_platform": "emscripten",
        }
