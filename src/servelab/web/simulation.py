"""Simulations in a process of their own, so that pages stay quick; whoever gives up ends it: ``python -m …``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

from servelab.perf.asked import Simulated, untold
from servelab.perf.parameters import Parameters
from servelab.perf.predict import predict
from servelab.perf.prediction import Prediction
from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError, ServelabError

LONGEST_LINE = 4 << 20  # bytes
_room = asyncio.Semaphore(max(1, (os.cpu_count() or 2) - 1))
"""One core stays free for the pages."""


class Order(Spec):
    """What the process reads."""

    parameters: Parameters
    asked: Simulated


class Word(Spec):
    """What it says, a line each: progress, and at last the prediction or why there is none."""

    progress: str = ""
    prediction: Prediction | None = None
    message: str = ""
    remedy: str = ""


async def simulate(
    parameters: Parameters, asked: Simulated, progress: Callable[[str], object] = lambda _: None
) -> Prediction:
    """Predict by simulation; cancelled, it ends at once.

    Raises:
        ServelabError: it cannot be predicted.
    """
    if faults := tuple(untold(asked.slo)):
        raise DocumentError(faults)
    progress("waits for another simulation")
    async with _room:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "servelab.web.simulation",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        try:
            return await _followed(child, Order(parameters=parameters, asked=asked), progress)
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def _followed(child: asyncio.subprocess.Process, order: Order, progress: Callable[[str], object]) -> Prediction:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(order.model_dump_json().encode())
    child.stdin.close()
    async for line in child.stdout:
        word = Word.model_validate_json(line)
        if word.message:
            raise ServelabError(word.message, word.remedy)
        if word.prediction is not None:
            return word.prediction
        progress(word.progress)
    raise ServelabError("the simulation ended without an answer", "Try again, with fewer requests.")


def _say(word: Word) -> None:
    sys.stdout.write(word.model_dump_json() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer one order."""
    order = Order.model_validate(json.load(sys.stdin))
    asked = order.asked
    try:
        deployment = asked.deployment(order.parameters)
        found = predict(
            order.parameters,
            deployment,
            asked.rate,
            asked.slo,
            asked.price,
            asked.effort,
            lambda text: _say(Word(progress=text)),
        )
    except ServelabError as error:
        _say(Word(message=error.message, remedy=error.remedy))
        return
    _say(Word(prediction=found))


if __name__ == "__main__":
    main()
