"""Find what belongs to a guide, and read it."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

from servelab.guides import helm, inferencepool
from servelab.guides.config import GuideConfig
from servelab.guides.helmfile import DEFAULT, NAMES, Helmfile, read_helmfile, rendered_values
from servelab.guides.kustomize import tool
from servelab.guides.kustomize.build import FILES, Build, kustomization_file
from servelab.guides.manifests import with_manifests
from servelab.guides.names import YAML, guide_name, slug, variant_of, variant_of_folder
from servelab.guides.parse import GuideError, parse
from servelab.guides.place import GUIDES, Place, joined, read_document, read_text
from servelab.guides.tree import Node
from servelab.guides.variants import kustomizations, values_files

POOL_VALUES = ("inferencepool/values.yaml", "inferencepool.values.yaml", "inferencepool-values.yaml")
MOST_LEVELS = 6  # above a guide's part, in which the inference extension's values are looked for


class VariantError(GuideError):
    """One of several variants has to be chosen."""

    def __init__(self, message: str, variants: tuple[str, ...]) -> None:
        super().__init__(message, f"Choose with --variant: {', '.join(variants)}.")
        self.variants = variants


@dataclass(frozen=True)
class Guide:
    """What was read, and the variants that there are."""

    config: GuideConfig
    variants: tuple[str, ...] = ()
    variant: str = ""
    """The one of them that it is."""


def read_guide(place: Place, path: str, variant: str = "", name: str = "", use_tool: bool = True) -> Guide:
    """Read the guide at a path of a place.

    Raises:
        GuideError: it cannot be reached or read, is no guide, or has several variants and none was chosen.
    """
    guide = _read(place, path, variant, use_tool)
    if variant and not _is_variant(guide, variant, path):
        raise GuideError(
            f"{place.shown(path) or place.title}: this is not of the variant {variant!r}",
            "Give the guide's directory, whose variants are listed, or leave --variant out.",
        )
    config = replace(guide.config, title=place.title)
    return replace(guide, config=replace(config, name=slug(name or config.name)))


def _read(place: Place, path: str, variant: str, use_tool: bool) -> Guide:
    if posixpath.basename(path) in (*FILES, *NAMES):
        path = posixpath.dirname(path)
    text = read_text(place, path) if YAML.search(path) else None
    if text is not None and path.endswith(".gotmpl"):
        values, warnings = rendered_values(text, place.shown(path), variant or DEFAULT, Node({}))
        guide = _of_file(place, path, variant, [values])
        return replace(guide, config=replace(guide.config, warnings=(*warnings, *guide.config.warnings)))
    if text is not None:
        return _of_file(place, path, variant, parse(text, place.shown(path)))
    if YAML.search(path) and not place.names(path):
        raise GuideError(f"{place.title}: there is no such file", "Check the address.")
    if kustomization_file(place, path) is not None:
        return Guide(_of_kustomization(place, path, use_tool))
    helmfile = read_helmfile(place, path)
    if helmfile is not None and helmfile.release("modelservice"):
        return _of_helmfile(place, path, _environment(helmfile, variant), helmfile)
    return _of_directory(place, path, variant, use_tool)


def _of_file(place: Place, path: str, variant: str, documents: list[Node]) -> Guide:
    folder = posixpath.dirname(path)
    if any("kind" in one.map for one in documents):
        config = GuideConfig(posixpath.basename(path).rpartition(".")[0], "", "", files=(place.shown(path),))
        return Guide(with_manifests(config, documents))
    values = next((one for one in documents if helm.is_values(one)), None)
    if values is None:
        raise GuideError(
            f"{place.shown(path)}: these are neither values of the modelservice chart nor Kubernetes manifests",
            "Give the guide's directory, its ms-*/values.yaml, or a kustomization.",
        )
    parent = posixpath.dirname(folder)
    own = variant_of(path)
    helmfile = read_helmfile(place, parent)
    if helmfile is not None:
        wanted = [variant or own or DEFAULT, DEFAULT, *helmfile.environments]
        for environment in dict.fromkeys(one for one in wanted if one in (*helmfile.environments, DEFAULT)):
            found = read_helmfile(place, parent, environment)
            release = found.release("modelservice") if found else None
            if found is not None and release is not None and path in release.files:
                return _of_helmfile(place, parent, environment, helmfile)
    name = guide_name(path)
    own = "" if path.endswith(f"/{name}{posixpath.splitext(path)[1]}") else own
    config = GuideConfig(f"{name}-{own}" if own else name, "", own, files=(place.shown(path),))
    config = helm.with_values(config, values)
    return Guide(_with_pool(place, folder, config))


def _environment(helmfile: Helmfile, variant: str) -> str:
    if not variant:
        return DEFAULT
    same = {_plain(one): one for one in helmfile.environments}
    if _plain(variant) not in same:
        raise VariantError(f"this guide has no variant {variant!r}", helmfile.environments)
    return same[_plain(variant)]


def _is_variant(guide: Guide, variant: str, path: str) -> bool:
    """Whether what was read is the variant that was asked for: a template is rendered for any."""
    own = {guide.variant or guide.config.variant or DEFAULT, guide.config.variant or DEFAULT}
    parts = {*own, *(part for one in own for part in one.split("/")), *path.split("/")[-1:]}
    return path.endswith(".gotmpl") or _plain(variant) in {_plain(one) for one in parts}


def _plain(text: str) -> str:
    return text.lower().replace("_", "-")


def _of_helmfile(place: Place, folder: str, environment: str, base: Helmfile) -> Guide:
    helmfile = base if environment == base.environment else read_helmfile(place, folder, environment)
    assert helmfile is not None
    model = helmfile.release("modelservice")
    pool = helmfile.release("inferencepool")
    infra = helmfile.release("llm-d-infra")
    if model is None or not helm.is_values(model.values):
        raise GuideError(
            f"{place.shown(folder)}: the helmfile installs no model server for {environment!r}",
            f"Choose another with --variant: {', '.join(helmfile.environments)}.",
        )
    own = "" if environment == DEFAULT else environment
    charts = {"infra": infra, "gaie": pool, "modelservice": model}
    guide = posixpath.basename(folder)
    config = GuideConfig(
        f"{guide}-{own}" if own else guide,
        "",
        own,
        charts={name: release.version for name, release in charts.items() if release and release.version},
        warnings=tuple(helmfile.warnings),
    )
    config = helm.with_values(config, model.values)
    if pool is not None:
        config = inferencepool.with_scheduler(config, pool.values)
    if infra is not None:
        config = inferencepool.with_gateway(config, infra.values)
    files = [one for release in (pool, model) if release for one in release.files]
    config = replace(config, files=tuple(place.shown(one) for one in files))
    return Guide(config, helmfile.environments, environment)


def _of_kustomization(place: Place, folder: str, use_tool: bool) -> GuideConfig:
    build = Build(place)
    objects = build.objects(folder)
    warnings = list(build.warnings)
    call = tool.command() if use_tool and not build.remote else None
    local: Path | None = place.local(folder)
    if call is not None and local is not None:
        theirs = tool.run(call, local)
        if isinstance(theirs, str):
            warnings.append(f"kustomize itself does not build this: {theirs}")
        else:
            objects, differences = tool.grafted(theirs, objects)
            warnings += [f"taken from kustomize itself, whose result differs here: {one}" for one in differences]
    name, variant = guide_name(folder), variant_of_folder(folder)
    config = GuideConfig(
        f"{name}-{variant}" if variant else name, "", variant,
        files=tuple(dict.fromkeys(build.files)), kustomizations=tuple(build.files), warnings=tuple(warnings),
    )  # fmt: skip
    return _with_pool(place, folder, with_manifests(config, objects))


def _of_directory(place: Place, path: str, variant: str, use_tool: bool) -> Guide:
    """A guide without a helmfile: values files in ``ms-*``, or kustomizations somewhere below."""
    values = {variant_of(one) or DEFAULT: one for one in values_files(place, path)}
    if values:
        wanted = variant or (DEFAULT if DEFAULT in values else "")
        if not wanted and len(values) == 1:
            wanted = next(iter(values))
        if wanted not in values:
            raise _choose(place, path, tuple(values), variant)
        guide = _of_file(place, values[wanted], wanted, [one for one in [read_document(place, values[wanted])] if one])
        return replace(guide, variants=tuple(values), variant=wanted)
    found = {posixpath.relpath(one, path): one for one in kustomizations(place, path)}
    if not found:
        raise GuideError(
            f"{place.shown(path) or place.title}: this is no guide: no values file, helmfile or kustomization is in it",
            "Give guides/NAME, its ms-*/values.yaml, or the directory of a kustomization.",
        )
    chosen = [
        one for one in found if not variant or variant in (one, posixpath.basename(one)) or variant in one.split("/")
    ]
    if len(chosen) != 1:
        raise _choose(place, path, tuple(found), variant)
    return Guide(_of_kustomization(place, found[chosen[0]], use_tool), tuple(found), chosen[0])


def _choose(place: Place, path: str, variants: tuple[str, ...], asked: str) -> GuideError:
    what = f"has no variant {asked!r}" if asked else "has several variants"
    return VariantError(f"{place.shown(path) or place.title}: this guide {what}", variants)


def _with_pool(place: Place, folder: str, config: GuideConfig) -> GuideConfig:
    """The guide with the inference extension's values that lie beside it, or above it in its guide."""
    at = folder
    for _ in range(MOST_LEVELS):
        names = [name for name in place.names(at) or () if name.startswith("gaie-")]
        for candidate in (*POOL_VALUES, *(f"{name}/values.yaml" for name in names)):
            path = joined(at, candidate)
            values = read_document(place, path)
            if values is not None and inferencepool.is_values(values):
                config = replace(config, files=(*config.files, place.shown(path)))
                return inferencepool.with_scheduler(config, values)
        up = posixpath.dirname(at)
        if up == at or posixpath.basename(up) == GUIDES or posixpath.basename(at) == GUIDES:
            break
        at = up
    return config
