"""One kit and another: what is left out of the second, and both in one. Pure."""

import dataclasses
import hashlib
from collections.abc import Sequence

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits.manifest import Item, Manifest
from pyodide_offline.kits.reading import Head


def against(manifest: Manifest, base: Head) -> Manifest:
    """Return the manifest of a kit that leaves out every blob that ``base`` lists.

    The base may itself leave some out: whoever unpacked it has them.
    """
    there = {item.sha256 for item in base.manifest.items}
    omitted = sorted({item.sha256 for item in manifest.items} & there)
    digest = f"sha256:{hashlib.sha256(base.data).hexdigest()}"
    return dataclasses.replace(
        manifest, base=digest if omitted else None, omitted=tuple(omitted), parts={}
    )


def merged(manifests: Sequence[Manifest], serial: int | None = None) -> Manifest:
    """Return the manifest of all their items, under the first one's name.

    The serial is the highest unless it is given. What they say of a project is kept where
    they agree. Raises IntegrityError for two contents of one item, and for two bases.
    """
    items: dict[tuple[str, str, str, str], Item] = {}
    for manifest in manifests:
        for item in manifest.items:
            other = items.setdefault(item.key, item)
            if other.sha256 != item.sha256:
                raise IntegrityError(
                    f"The kits hold two different {item.file} of {item.name} {item.version}."
                )
            items[item.key] = dataclasses.replace(other, targets=_targets(other, item))
    carried = {name for one in manifests for name in one.carried}
    omitted = {name for one in manifests for name in one.omitted} - carried
    bases = {one.base for one in manifests if omitted & set(one.omitted)}
    if len(bases) > 1:
        raise IntegrityError("The kits leave out blobs of two different bases.")
    first = manifests[0]
    project = dict(first.project)
    if any(one.project != first.project for one in manifests):
        project = {}
    return Manifest(
        name=first.name,
        serial=max(one.serial for one in manifests) if serial is None else serial,
        items=tuple(items.values()),
        targets=tuple(sorted({target for one in manifests for target in one.targets})),
        created=max(one.created for one in manifests),
        base=next(iter(bases), None),
        omitted=tuple(sorted(omitted)),
        project=project,
    )


def _targets(one: Item, other: Item) -> tuple[str, ...]:
    """An item that is for all in one of the kits is for all."""
    if not one.targets or not other.targets:
        return ()
    return tuple(sorted({*one.targets, *other.targets}))
