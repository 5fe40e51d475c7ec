"""The variants that lie in a guide's directory: values files, or kustomizations."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.guides.kustomize.build import Build, kustomization_file
from servelab.guides.manifests import WORKLOADS
from servelab.guides.parse import GuideError
from servelab.guides.place import Place, joined, read_document

MOST_DEEP = 6  # levels below a guide's directory in which kustomizations are looked for
MOST_DIRECTORIES = 2_000  # that are looked into for kustomizations


def values_files(place: Place, path: str) -> Iterator[str]:
    """Values files of the model service in a guide's directory."""
    for name in place.names(path) or ():
        inner = joined(path, name)
        if name.startswith("ms-"):
            for file in place.names(inner) or ():
                if "values" in file and file.endswith((".yaml", ".yml")):
                    yield joined(inner, file)
        elif name in ("values.yaml", "values.yml"):
            yield inner


def kustomizations(place: Place, path: str) -> Iterator[str]:
    """Kustomizations below a directory that run something, components left out.

    Raises:
        GuideError: there are more directories than a guide has.
    """
    depths = {path: 0}
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        file = kustomization_file(place, folder) if folder != path else None
        node = read_document(place, file) if file else None
        is_component = node is not None and "kind" in node.map and node.map["kind"].text == "Component"
        if node is not None and not is_component and _runs_something(place, folder):
            yield folder
        if len(depths) > MOST_DIRECTORIES:
            raise GuideError(f"{place.shown(path)}: this has too many directories for a guide", "Give guides/NAME.")
        if depths[folder] <= MOST_DEEP:
            inner = [joined(folder, name) for name in place.names(folder) or () if "." not in name]
            waiting += reversed(inner)
            depths |= dict.fromkeys(inner, depths[folder] + 1)


def _runs_something(place: Place, folder: str) -> bool:
    try:
        objects = Build(place).objects(folder)
    except GuideError:
        return False
    return any("kind" in one.map and one.map["kind"].text in WORKLOADS for one in objects)
