"""Whether an experiment can work, by arithmetic, before anything is started; each doubt with a way out."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.catalog.accelerators import Accelerator
from servelab.catalog.check import check_study
from servelab.catalog.fit import MARKETED, SHRINKING
from servelab.catalog.memory import kv_tokens, weights_gb
from servelab.catalog.models import KnownModel, find_model
from servelab.request.accelerator import accelerator_of, named
from servelab.request.facts import Facts
from servelab.request.name import unused
from servelab.request.numbers import Numbers
from servelab.request.said import Option, Question
from servelab.request.settle import Settled
from servelab.request.study import ON_CLUSTER, StudyError, make_study
from servelab.spec.plugins import plugin_names

KEEP = "keep"
"""The answer that leaves a doubt as it is."""

STEP = 1024  # tokens: what a limit is raised in
UTILIZATION = 0.9  # of an accelerator's memory, vLLM's default


def doubts(settled: Settled, facts: Facts) -> tuple[Question, ...]:
    """What would fail or mislead, as questions: a fix that could be made, and going on as it is."""
    model = find_model(settled.model) if settled.model else None
    found = [*_means(settled.numbers), *_limit(settled, model), *_length(settled, model)]
    found += [*_heads(settled, model), *_memory(settled, model, facts), *_available(settled, facts)]
    found += [*_selected(settled, facts), *_lasting(settled)]
    return (*found, *_taken(settled, facts), *_platform(settled), *_study(settled, facts))


def _length(settled: Settled, model: KnownModel | None) -> Iterator[Question]:
    numbers, limit = settled.numbers, settled.longest
    if numbers is None or limit is None or numbers.longest <= limit:
        return
    parts = f"{numbers.prefix_tokens} prefix + {numbers.prompt_tokens_max} prompt + {numbers.output_tokens_max} output"
    text = (
        f"the longest request of {settled.workload} has {numbers.longest} tokens ({parts}), "
        f"and max-model-len is {limit}: longer ones fail"
    )
    raised = -(-numbers.longest // STEP) * STEP
    context = model.context if model is not None else None
    if context is None or numbers.longest <= context:
        fit = raised if context is None else min(raised, context)
        yield _doubt("max_model_len", text, (str(fit), f"raise max-model-len to {fit}"))
        return
    text = f"{text}; {settled.model} itself reads {context}"
    shorter = limit - numbers.prefix_tokens - numbers.output_tokens_max
    if shorter >= max(numbers.prompt_tokens_min, numbers.prompt_tokens):
        yield _doubt("prompt_tokens_max", text, (str(shorter), f"cut prompts at {shorter} tokens"))
    else:
        yield _doubt("workload", text)


def _limit(settled: Settled, model: KnownModel | None) -> Iterator[Question]:
    limit = settled.longest
    if model is not None and limit is not None and limit > model.context:
        text = f"max-model-len is {limit}, and {model.id} reads {model.context} tokens: vLLM refuses to start"
        yield _doubt("max_model_len", text, (str(model.context), f"lower max-model-len to {model.context}"))


def _means(numbers: Numbers | None) -> Iterator[Question]:
    if numbers is None:
        return
    for kind in ("prompt", "output"):
        mean = getattr(numbers, f"{kind}_tokens")
        low, high = getattr(numbers, f"{kind}_tokens_min"), getattr(numbers, f"{kind}_tokens_max")
        if low <= mean <= high:
            continue
        text = f"the mean {kind} length is {mean:g} tokens, outside of its own bounds, {low} to {high}: it is cut there"
        better = round(2 * mean) if mean > high else max(1, round(mean / 2))
        side = "max" if mean > high else "min"
        yield _doubt(f"{kind}_tokens_{side}", text, (str(better), f"{side} {better} {kind} tokens"))


def _heads(settled: Settled, model: KnownModel | None) -> Iterator[Question]:
    wrong = [size for size in settled.tensor_parallelism if model is not None and model.heads % size]
    if model is None or not wrong:
        return
    sizes = ", ".join(str(size) for size in wrong)
    text = f"the {model.heads} attention heads of {model.id} cannot be divided by TP={sizes}: vLLM refuses to start"
    below = max(size for size in range(1, wrong[0] + 1) if model.heads % size == 0)
    yield _doubt("tensor_parallelism", text, _instead(settled, wrong, below))


def _memory(settled: Settled, model: KnownModel | None, facts: Facts) -> Iterator[Question]:
    """Tensor parallelisms whose accelerators cannot hold the weights, and room for one request beside them."""
    found = accelerator_of(settled, facts)
    flags = {flag.lstrip("-").replace("-", "_") for flag in (*settled.engine_args, *settled.sweep)}
    if model is None or found is None or settled.request.engine not in (None, "vllm") or flags & set(SHRINKING):
        return
    accelerator = found[1]
    small = [size for size in settled.tensor_parallelism if not _holds(model, accelerator, size, settled)]
    if not small:
        return
    sizes = ", ".join(str(size) for size in small)
    weights, there = weights_gb(model), accelerator.memory_gb * small[-1]
    why = "do not fit" if weights > there * MARKETED else f"leave no room for a request of {_reserve(settled)} tokens"
    text = (
        f"the {weights:.0f} GB of weights of {model.id} {why} with TP={sizes} ({there:.0f} GB of {accelerator.title})"
    )
    fits = [n for n in (1, 2, 4, 8, 16) if model.heads % n == 0 and _holds(model, accelerator, n, settled)]
    yield _doubt("tensor_parallelism", text, *([_instead(settled, small, fits[0])] if fits else []))


def _holds(model: KnownModel, accelerator: Accelerator, size: int, settled: Settled) -> bool:
    share = settled.engine_args.get("--gpu-memory-utilization")
    utilization = float(share) if isinstance(share, int | float) else UTILIZATION
    step = settled.limits["max_num_batched_tokens"]
    return kv_tokens(model, accelerator.memory_gb, size, utilization, step) >= _reserve(settled)


def _reserve(settled: Settled) -> int:
    """Tokens that the cache must hold for the engine to start: one request of the greatest length."""
    return settled.limits["max_model_len"]


def _available(settled: Settled, facts: Facts) -> Iterator[Question]:
    platform = settled.request.platform
    here = platform == "process" or (platform is None and not settled.pipeline)
    there = facts.local_accelerators if here else facts.cluster_accelerators
    wrong = [size for size in settled.tensor_parallelism if there is not None and size > there]
    if there is None or not wrong:
        return
    size = max(wrong)
    text = f"only {there} GPUs are available, but TP={size} requires {size}"
    below = max((n for n in (1, 2, 4, 8) if n <= there), default=None)
    yield _doubt("tensor_parallelism", text, *([_instead(settled, wrong, below)] if below else []))


def _selected(settled: Settled, facts: Facts) -> Iterator[Question]:
    """Accelerators that were named, where the values file puts the engine on others."""
    asked, labels = named(settled.request.accelerator or ""), facts.values.accelerators
    selected = [found[1] for label in labels if (found := named(label)) is not None]
    if settled.pipeline and asked is not None and selected and asked[1] not in selected:
        where = "stack.model.helmValues.decode.acceleratorTypes"
        text = f"the values file puts the engine on {' or '.join(labels)}, not on {asked[1].title}: see its {where}"
        yield _doubt("accelerator", text)


def _lasting(settled: Settled) -> Iterator[Question]:
    """A duration, which the pipeline knows nothing of: it sends a number of requests at each level."""
    profile, numbers = settled.request.profile, settled.numbers
    if not settled.pipeline or profile.seconds is None or profile.max_requests is not None or numbers is None:
        return
    counted = f"the pipeline sends {numbers.max_requests} requests at each level"
    text = f"{counted} and does not end after {profile.seconds:g} s: say how many requests"
    rated = numbers.rate_type in ("constant", "poisson") and len(numbers.rates) == 1
    requests = round(numbers.rates[0] * profile.seconds) if rated else 0
    yield _doubt("max_requests", text, *([(str(requests), f"send {requests} requests")] if requests else []))


def _taken(settled: Settled, facts: Facts) -> Iterator[Question]:
    name = settled.experiment_id
    if name in facts.taken:
        free = unused(name, facts.taken)
        yield Question(
            parameter="experiment_id",
            kind="ambiguous",
            text=f"experiment {name!r} already exists: take another id",
            options=(Option(value=free, label=f"use {free}", recommended=True),),
        )


def _platform(settled: Settled) -> Iterator[Question]:
    """A platform that no installed plug-in offers; a cluster's pipeline needs none."""
    name = settled.request.platform
    if name is None or name in ON_CLUSTER or name in plugin_names("servelab.platforms"):
        return
    text = f"no platform {name} is installed here, so a study on it can be written and not run"
    yield _doubt("platform", text, ("process", "run it on this machine"))


def _instead(settled: Settled, wrong: list[int], size: int) -> tuple[str, str]:
    """The fix of a tensor parallelism: the others stay, ``size`` takes the place of the wrong ones."""
    kept = tuple(dict.fromkeys(size if asked in wrong else asked for asked in settled.tensor_parallelism))
    text = ", ".join(str(one) for one in sorted(kept))
    return text, f"use TP={text}"


def _doubt(parameter: str, text: str, *fixes: tuple[str, str]) -> Question:
    options = [Option(value=value, label=label, recommended=index == 0) for index, (value, label) in enumerate(fixes)]
    options.append(Option(value=KEEP, label="go on as it is"))
    return Question(parameter=parameter, kind="ambiguous", text=text, options=tuple(options))


def _study(settled: Settled, facts: Facts) -> Iterator[Question]:
    """What the catalog knows against the engine's arguments; and what makes no study at all, which cannot be kept."""
    if not settled.complete:
        return
    try:
        study = make_study(settled, facts)
    except StudyError as error:
        yield Question(parameter="study", kind="missing", text=f"{error.message}. What should change?")
        return
    for problem in check_study(study):
        if problem.fatal and problem.path[0] in _ARGUMENTS and problem.path[:2] != ("engine", "resources"):
            yield _doubt(str(problem.path[-1]), problem.message)


_ARGUMENTS = ("engine", "factors", "treatments", "space", "baseline")
