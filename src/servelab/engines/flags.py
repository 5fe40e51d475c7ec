"""From parameters to command-line flags, as each engine spells them."""

from __future__ import annotations

from servelab.catalog.engines import engine_arguments
from servelab.spec.base import Parameters


def flags(engine: str, arguments: Parameters, *, negatives: bool = True) -> tuple[str, ...]:
    """The flags for ``arguments`` (snake_case name -> value), in order.

    The catalog says how a flag is spelled and how a switch is turned off; an argument it does not know becomes
    ``--its-name``, so that an engine newer than the catalog can be used. Such an unknown switch is turned off by
    ``--no-its-name`` where the engine's switches have ``negatives``, else by leaving it out.
    """
    known = engine_arguments(engine)
    words: list[str] = []
    for name, value in arguments.items():
        argument = known.get(name)
        flag = argument.flag if argument else "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is False:
            negative = argument.negative if argument else f"--no-{flag.removeprefix('--')}" if negatives else None
            words += [negative] if negative else []
        else:
            words += [flag, str(value)]
    return tuple(words)
