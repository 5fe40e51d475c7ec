"""Commands that show what the catalog knows."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from servelab.cli.output import Json, console, print_json


def models(*, json: Json = False) -> None:
    """List the models servelab knows; any other can be served too."""
    from servelab.catalog.models import known_models

    if json:
        print_json(known_models())
        return
    table = Table("name", "id", box=None, pad_edge=False)
    table.add_column("parameters", justify="right")
    table.add_column("context", justify="right")
    for name, model in known_models().items():
        table.add_row(name, model.id, f"{model.parameters:g} B", f"{model.context:,}")
    console.print(table)


def workloads(*, json: Json = False) -> None:
    """List the workload presets, lengths in tokens."""
    from servelab.catalog.workloads import presets

    if json:
        print_json(presets())
        return
    table = Table("name", "what", box=None, pad_edge=False)
    for column in ("prefix", "prompt", "output"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, preset in presets().items():
        lengths = (f"{p.mean:g} ± {p.stdev:g}" for p in (preset.prompt, preset.output))
        table.add_row(name, preset.description, str(preset.prefix), *lengths)
    console.print(table)


def engines(engine: str | None = None, *, json: Json = False) -> None:
    """List the engines, or show what is known of one engine's arguments.

    Parameters
    ----------
    engine
        vllm, sglang, trtllm, llamacpp or simulated.
    """
    from servelab.catalog.engines import engine_names, get_engine

    if engine is None:
        found = {name: get_engine(name) for name in engine_names()}
        if json:
            print_json({name: {"title": known.title, "checked": known.checked} for name, known in found.items()})
            return
        for name, known in found.items():
            console.print(
                f"{name:10} {known.title}, {len(known.arguments)} arguments [dim](checked: {known.checked})[/]"
            )
        return
    known = get_engine(engine)
    if json:
        print_json(known)
        return
    table = Table("argument", "type", "default", "what it does", "moves", box=None, pad_edge=False)
    for name, argument in known.arguments.items():
        default = "-" if argument.default is None else str(argument.default).lower()
        mark = " [green]*[/]" if argument.tune is not None else ""
        table.add_row(name + mark, argument.type, default, escape(argument.help), ", ".join(argument.moves))
    console.print(table)
    console.print(f"[green]*[/] searched by servelab tune.  Checked: {known.checked}")
