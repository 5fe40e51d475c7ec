"""The simulated engine's profiles as response surfaces: truth by the simulator, with the engine's own step times.

What the prior knows is another matter: data sheets, by ``lab.prior`` as in a real study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.predict.agreement import engine
from servelab.catalog.study import load_study
from servelab.engines.flags import flags
from servelab.engines.simulated.memory import OutOfMemoryError, kv_blocks, require_batch_fits
from servelab.engines.simulated.options import ConfigurationError, read_settings
from servelab.lab.prior import study_prior
from servelab.perf.simulator import Simulator
from servelab.search.base import Problem
from servelab.search.codes import Codes
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from servelab.spec.study import Study

STUDY = """
name: surface
model: {{id: {model}}}
engine: {{name: simulated, profile: {profile}, arguments: {{max_model_len: {length}}},
         resources: {{accelerator: {accelerator}, accelerators: 8}}}}
workload:
  prompt: {{mean: {prompt}, stdev: {prompt_spread}, min: 32}}
  output: {{mean: {output}, stdev: {output_spread}, min: 8}}
load: {{concurrency: {streams}, requests: {requests}, warmup: 1}}
space:
  parameters:
    tensor_parallel_size: [1, 2, 4, 8]
    max_num_seqs: {{low: 8, high: 512, log: true}}
    max_num_batched_tokens: {{low: 512, high: 16384, log: true}}
    gpu_memory_utilization: {{low: 0.5, high: 0.98}}
    kv_cache_dtype: [auto, fp8]
    enforce_eager: [true, false]
objectives: [maximize output_throughput_per_accelerator]
constraints: [ttft_p95 <= {ttft}ms, itl_p95 <= {itl}ms]
baseline: {{tensor_parallel_size: 1, max_num_seqs: 256, max_num_batched_tokens: 8192, gpu_memory_utilization: 0.92,
           kv_cache_dtype: auto, enforce_eager: false}}
"""

NOISE = {"output_throughput_per_accelerator": 0.02, "ttft_p95": 0.1, "itl_p95": 0.03}
BROKEN = 0.05  # share by which an SLO may be missed in truth
LOOKED = 400  # configurations among which the best one is looked for
BRED = 40


@dataclass(frozen=True)
class Ground:
    """A profile, its machine in the catalog, and a load with an SLO that its defaults do not keep."""

    model: str
    accelerator: str
    prompt: int
    output: int
    streams: int
    ttft: int
    itl: int


GROUNDS = {
    "h100-llama-3.1-8b": Ground("meta-llama/Llama-3.1-8B-Instruct", "h100-80gb", 1000, 200, 128, 1500, 30),
    "a100-llama-3-8b": Ground("meta-llama/Meta-Llama-3-8B-Instruct", "a100-80gb", 600, 150, 96, 2500, 60),
    "l4-llama-3.1-8b": Ground("meta-llama/Llama-3.1-8B-Instruct", "l4-24gb", 400, 100, 64, 4000, 150),
    "h200-qwen2.5-32b-fp8": Ground("Qwen/Qwen2.5-32B-Instruct", "h200-141gb", 2000, 300, 128, 4000, 60),
}


class SimulatedSurface:
    """One profile as a search problem."""

    def __init__(self, name: str) -> None:
        ground = GROUNDS[name]
        self.name = name
        self._profile = name
        text = STUDY.format(
            profile=name,
            length=2 * (ground.prompt + ground.output),
            prompt_spread=ground.prompt // 4,
            output_spread=ground.output // 4,
            requests=6 * ground.streams,
            **vars(ground),
        )
        self.study: Study = load_study(text)
        self._truths: dict[str, dict[str, float] | str] = {}

    def problem(self, seed: int, trials: int, prior: str | None, observations: Sequence[Observation] = ()) -> Problem:
        """The search problem, with our own prior, corrected by what was measured, or none."""
        study = self.study
        return Problem(
            space=study.space,
            treatments=(),
            objectives=study.objectives,
            constraints=study.constraints,
            baseline=study.baseline,
            seed=seed,
            trials=trials,
            prior=study_prior(study, observations) if prior else None,
        )

    def truth(self, parameters: Parameters) -> dict[str, float] | str:
        """The metrics without noise, or why it does not run."""
        name = repr(sorted(parameters.items()))
        if name not in self._truths:
            self._truths[name] = self._truth(parameters)
        return self._truths[name]

    def measure(self, number: int, parameters: Parameters, rng: np.random.Generator) -> Observation:
        """One noisy trial."""
        found = self.truth(parameters)
        if isinstance(found, str):
            return Observation(number=number, parameters=parameters, metrics={}, cause=found)
        noisy = {name: found[name] * float(np.exp(rng.normal(0, spread))) for name, spread in NOISE.items()}
        return Observation(number=number, parameters=parameters, metrics=noisy)

    def regret(self, parameters: Parameters | None) -> float:
        """1 - true throughput / best; 1 for no pick, a crash, or an SLO truly missed by over 5 %."""
        found = "no pick" if parameters is None else self.truth(parameters)
        if isinstance(found, str) or self._violation(found) > BROKEN:
            return 1.0
        return max(0.0, 1 - found["output_throughput_per_accelerator"] / self.optimum)

    @cached_property
    def optimum(self) -> float:
        """The best that keeps the SLO, among many drawn and some bred from the best of those."""
        assert self.study.space is not None
        codes, rng = Codes(self.study.space), np.random.default_rng(0)
        rows = codes.draw(LOOKED, rng)
        values = np.array([self._value(codes.parameters(row)) for row in rows])
        for _ in range(4):
            best = rows[np.argsort(-values)[:4]]
            bred = codes.mutate(np.repeat(best, BRED // 4, axis=0), rng)
            rows = np.concatenate([rows, bred])
            values = np.concatenate([values, [self._value(codes.parameters(row)) for row in bred]])
        return float(values.max())

    def _value(self, parameters: Parameters) -> float:
        found = self.truth(parameters)
        kept = not isinstance(found, str) and self._violation(found) <= 0
        return found["output_throughput_per_accelerator"] if kept and not isinstance(found, str) else 0.0

    def _violation(self, found: dict[str, float]) -> float:
        return max(one.violation(found[one.metric]) for one in self.study.constraints)

    def _truth(self, parameters: Parameters) -> dict[str, float] | str:
        given = flags("simulated", {**self.study.engine.arguments, **parameters})
        try:
            settings = read_settings(["m", "--profile", self._profile, *given])
            plan = settings.memory
            kv_blocks(settings.profile, plan)
            streams = int(self.study.load.concurrency[0])
            require_batch_fits(settings.profile, plan, min(plan.max_num_seqs, streams))
        except ConfigurationError:
            return "bad_argument"
        except OutOfMemoryError:
            return "out_of_memory"
        found = engine(settings)
        # Nothing is shared, and to look for it takes most of the time.
        bare = replace(found, limits=replace(found.limits, prefix_caching=False))
        (load,) = self.study.load.points
        metrics = Simulator(bare, self.study.workload, load).run().metrics()
        return {**metrics, "output_throughput_per_accelerator": metrics["output_throughput"] / plan.devices}
