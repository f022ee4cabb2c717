"""What ``kit.pyz`` does: the kit's own program, with the standard library only."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from pathlib import Path

from pyodide_offline.errors import (
    IntegrityError,
    PyodideOfflineError,
    SettingsError,
    UntrustedError,
)
from pyodide_offline.kits import places, signature, trust, unpacking, volumes
from pyodide_offline.kits.reading import CORRUPT, UNTRUSTED, Fault
from pyodide_offline.kits.signature import PublicKey

_ALL = "All faults are listed by: kit verify FILE"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process; an error is one to three lines."""
    try:
        status = run(arguments)
    except PyodideOfflineError as error:
        print(f"error[{error.code}]: " + "\n  ".join(error.lines()), file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What comes after -- is another program's: argparse would mix it with the files.
    place = given.index("--") if "--" in given else len(given)
    found = _parser().parse_args(given[:place])
    found.words = given[place + 1 :]
    if found.words and found.command is not _run:
        raise SettingsError("Only run takes a command after --.")
    if found.command is _run and not found.words:
        raise SettingsError(
            "There is no command to run.", next_step="Type: kit.pyz run FILE -- pywrangler dev"
        )
    command: Callable[[argparse.Namespace], int] = found.command
    return command(found)


def terms(
    keys: Sequence[str],
    *,
    first_use: bool,
    unsigned: bool,
    downgrade: bool = False,
    need: int | None = None,
) -> trust.Terms:
    """Return the user's terms; a key is a line or the file of one. Raises SettingsError."""
    known = tuple(map(_key, keys))
    if need is not None and need < 1:
        raise SettingsError("A kit needs one signature at least.", next_step="Name --need 1.")
    if known and need and len({key.value for key in known}) < need:
        raise SettingsError(
            f"{need} signatures are needed and fewer keys named.",
            next_step="Name each with a --key of its own.",
        )
    return trust.Terms(known, first_use, unsigned, downgrade, need)


def _key(text: str) -> PublicKey:
    try:
        return signature.public_key(Path(text).read_text() if Path(text).is_file() else text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The key {text} cannot be read.", why=f"{error}.") from error
    except IntegrityError as error:
        raise SettingsError(
            f"{text[:80]} is no public key, nor a file that holds one.",
            why=error.why,
            next_step="Name the .pub file that lies beside the secret key, or its last line.",
        ) from error


def bits(faults: Sequence[Fault]) -> int:
    """Return the exit status: 1 corrupt, 2 untrusted, 4 incomplete, added up."""
    return reduce(or_, (fault.bit for fault in faults), 0)


def refused(faults: Sequence[Fault]) -> PyodideOfflineError:
    """Return the error for a kit that was not unpacked: its first fault, corrupt ones first."""
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    kinds = {fault.bit for fault in faults}
    what = "The kit is not unpacked."
    if CORRUPT not in kinds and UNTRUSTED in kinds:
        fault = next(one for one in faults if one.bit == UNTRUSTED)
        return UntrustedError(what, why=f"{fault}{more}", next_step=_ALL)
    fault = min(faults, key=lambda one: one.bit)
    return IntegrityError(what, why=f"{fault}{more}", next_step=_ALL)


def _verify(found: argparse.Namespace) -> int:
    environ = os.environ
    head, faults = unpacking.verify(
        found.file,
        trust.load(places.trust_file(environ)),
        _terms(found),
        root=places.kits_dir(environ, found.store_dir),
    )
    for fault in faults:
        print(fault)
    if head and not faults:
        items = len(head.manifest.items)
        print(f"well: {head.manifest.name}, serial {head.manifest.serial}, {items} items")
        if head.lacking:
            print(f"not in this copy, for other platforms only: {len(head.lacking)}")
    return bits(faults)


def _unpack(found: argparse.Namespace) -> int:
    environ = os.environ
    root = places.kits_dir(environ, found.store_dir)
    done = unpacking.unpack(found.file, root, places.trust_file(environ), _terms(found))
    if done.generation is None:
        raise refused(done.faults)
    print(f"{done.generation.name}: {done.written} blobs written, {done.kept} there before")
    return 0


def _run(found: argparse.Namespace) -> int:
    """Become the product of the kit, installed from its own wheels, on the user's command."""
    from pyodide_offline.kits import bootstrap  # more than all that verifying needs

    environ = dict(os.environ)
    root = places.kits_dir(environ, found.store_dir)
    generation = unpacking.current(root)
    if found.file:
        done = unpacking.unpack(found.file, root, places.trust_file(environ), _terms(found))
        if done.generation is None:
            raise refused(done.faults)
        generation = done.generation
    if generation is None:
        raise IntegrityError(
            "No kit was unpacked here.", next_step="Name it: python3 kit.pyz run FILE -- COMMAND"
        )
    items = generation.manifest.items
    python = bootstrap.provide(
        bootstrap.home(root, generation.name),
        items,
        generation.places,
    )
    environ["PYODIDE_OFFLINE_STORE_DIR"] = str(root.parent.parent)
    return bootstrap.replace(bootstrap.command(python, found.words, found.project), environ)


def _rollback(found: argparse.Namespace) -> int:
    print(unpacking.rollback(places.kits_dir(os.environ, found.store_dir)).name)
    return 0


def _inspect(found: argparse.Namespace) -> int:
    head = volumes.head(found.file)
    print(f"{head.manifest.name}, serial {head.manifest.serial}")
    for item in head.manifest.items:
        print(f"{item.kind:12} {item.size:>11} {item.sha256[:12]} {item.name} {item.version}")
    return 0


def _terms(found: argparse.Namespace) -> trust.Terms:
    return terms(
        found.key,
        first_use=found.trust_on_first_use,
        unsigned=found.allow_unsigned,
        downgrade=found.allow_downgrade,
        need=found.need,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kit.pyz", description="Verify and unpack a kit of pyodide-offline."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> None:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        if name != "inspect":
            one.add_argument("--store-dir", type=Path, help="the store, by default the user's")
        if name != "rollback":
            # What was unpacked last may be run without its file.
            count = "*" if name == "run" else "+"
            one.add_argument("file", nargs=count, type=Path, help="the kit, or its volumes")
        if name == "run":
            one.add_argument("--project", type=Path, help="the worker's folder, by default here")
        if name in ("verify", "unpack", "run"):
            one.add_argument("--key", action="append", default=[], help="public key, or its file")
            one.add_argument("--need", type=int, help="so many keys must have signed it")
            for option in ("--trust-on-first-use", "--allow-unsigned", "--allow-downgrade"):
                one.add_argument(option, action="store_true")

    add("verify", _verify, "Read all; exit bits: 1 corrupt, 2 untrusted, 4 incomplete.")
    add("unpack", _unpack, "Put a kit into the store and switch to it.")
    add("run", _run, "Unpack a kit and run the command after -- with all that it brings.")
    add("rollback", _rollback, "Switch to the generation before.")
    add("inspect", _inspect, "List what is in a kit.")
    return parser
