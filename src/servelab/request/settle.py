"""From what was said to what would run: defaults filled in, names made safe, compared with the values file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from servelab.catalog.workloads import presets
from servelab.request import safe
from servelab.request.facts import Facts
from servelab.request.fields import AUTOMATIC, as_fields
from servelab.request.images import complete_images
from servelab.request.match import LIMITS, Category, Change, Wanted, match
from servelab.request.name import experiment_id, slug, unused
from servelab.request.numbers import Numbers, adjusted, custom_numbers, preset_numbers
from servelab.request.refusals import refuse
from servelab.request.said import Images, Intent, Question, Request, Understanding
from servelab.request.values import Values
from servelab.spec.base import Spec, Value

LIMITED = ("vllm", "sglang", "trtllm")
"""Engines that divide a model, and bound a request's length, by arguments that a request has fields for."""


class Settled(Spec):
    """An experiment: every field decided, or a question about it; None where nothing was said and nothing is usual.

    ``tensor_parallelism`` is what was asked for; else what the values file has, or 1 where no pipeline reads that file.
    """

    request: Request
    intent: Intent
    model: str | None
    namespace: str | None
    experiment_id: str | None
    workload: str
    numbers: Numbers | None
    tensor_parallelism: tuple[int, ...]
    limits: dict[str, int]
    images: Images
    engine_args: dict[str, Value]
    sweep: dict[str, tuple[Value, ...]]
    pipeline: bool
    """Whether the data-collection pipeline can run it; else only a study can."""
    changes: tuple[Change, ...]
    questions: tuple[Question, ...]
    warnings: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing has to be asked any more."""
        return not self.questions

    @property
    def longest(self) -> int | None:
        """The longest request in tokens that the engine will take; None where nothing bounds it."""
        bounded = (self.request.engine or "vllm") in LIMITED or self.request.max_model_len is not None
        return self.limits["max_model_len"] if bounded else None

    @property
    def changed(self) -> tuple[Change, ...]:
        """What differs from the values file."""
        return tuple(change for change in self.changes if change.changed)


def settle(understanding: Understanding, facts: Facts) -> Settled:
    """Decide every field of a request, ask about what is missing or unusable, and compare with the values file.

    Raises:
        DocumentError: the values file lacks a part of the structure.
    """
    values, request = facts.values, as_fields(understanding.request)
    request, refused = refuse(request, values)
    request, automatic = _without_automatic(request)
    workload = request.workload or ("custom" if _said_lengths(request) else values.workload)
    numbers, fault = _numbers(request, workload, values)
    images = complete_images(request.images, values)
    wanted = Wanted(
        tensor_parallelism=request.tensor_parallelism,
        only=request.only,
        limits={name: getattr(request, name) or getattr(values, name) for name in LIMITS},
        workload=workload,
        numbers=numbers,
        images=images,
        engine_args=request.engine_args,
    )
    changes = match(wanted, values)
    named = _name(request, workload, facts)
    asked = (*understanding.questions, *refused, *fault, *_missing(request, workload, facts))
    return Settled(
        request=request,
        intent=_intent(request),
        model=request.model,
        namespace=request.namespace or facts.namespace,
        experiment_id=named.name,
        workload=workload,
        numbers=numbers,
        tensor_parallelism=request.tensor_parallelism or (values.tensor_parallelism if on_pipeline(request) else (1,)),
        limits=wanted.limits,
        images=images,
        engine_args=request.engine_args,
        sweep=request.sweep,
        pipeline=on_pipeline(request),
        changes=changes,
        questions=_first_of_each(asked),
        warnings=(
            *understanding.warnings,
            *automatic,
            *named.notes,
            *_without_value(request),
            *(_also_run(wanted, changes) if on_pipeline(request) else ()),
        ),
    )


def on_pipeline(request: Request) -> bool:
    """Whether the data-collection pipeline can run a request: vLLM on a cluster, one value of each argument."""
    return (
        _intent(request) is Intent.COLLECT
        and request.engine in (None, "vllm")
        and request.platform in (None, "tekton", "kubernetes")
        and not request.sweep
    )


def _without_automatic(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request without the argument that the pipeline sets itself, and a note where it was there."""
    if AUTOMATIC not in request.engine_args or not on_pipeline(request):
        return request, ()
    kept = {flag: value for flag, value in request.engine_args.items() if flag != AUTOMATIC}
    return request.model_copy(update={"engine_args": kept}), (f"the pipeline itself sets {AUTOMATIC}: left out",)


def _intent(request: Request) -> Intent:
    """What was said; else what a goal or levels mean; else to collect."""
    if request.intent is not None:
        return request.intent
    if request.objective is not None or request.constraints:
        return Intent.TUNE
    return Intent.EXPERIMENT if request.sweep else Intent.COLLECT


def _said_lengths(request: Request) -> bool:
    return request.profile.prompt.mean is not None and request.profile.output.mean is not None


def _numbers(request: Request, workload: str, values: Values) -> tuple[Numbers | None, list[Question]]:
    """The workload in full; None while a mean is missing; with a question where the numbers contradict one another."""
    own = workload == "custom" and values.workload != "custom"
    # The numbers of a preset that the file has are the file's, which its owner may have changed.
    start = values.numbers if workload == values.workload else None
    try:
        if own:
            return custom_numbers(request.profile), []
        return adjusted(start or preset_numbers(presets()[workload]), request.profile), []
    except ValidationError as error:
        fault = error.errors()[0]
        parameter = str(fault["loc"][0]) if fault["loc"] else _crossed(fault["msg"])
        text = f"{parameter}: {fault['msg'].removeprefix('Value error, ')}. What should it be?"
        return None, [_ask(parameter, text)]


def _crossed(message: str) -> str:
    return "prompt_tokens_max" if "prompt" in message else "output_tokens_max"


@dataclass(frozen=True)
class _Name:
    name: str | None
    notes: tuple[str, ...] = ()


def _name(request: Request, workload: str, facts: Facts) -> _Name:
    """The experiment's name: as said, made safe, or from the model, the workload and the tensor parallelism."""
    said = request.experiment_id
    if said is not None and (named := slug(said)):
        note = (f"the experiment id {safe.shown(said)} is written {named}",) if named != said else ()
        return _Name(named, note)
    note = (f"nothing of the experiment id {safe.shown(said)} can stay: it is made up",) if said else ()
    if request.model is None:
        return _Name(None, note)
    made = experiment_id(facts.today, request.model, workload, request.tensor_parallelism)
    return _Name(unused(made, facts.taken), note)


def _missing(request: Request, workload: str, facts: Facts) -> Iterator[Question]:
    """Questions for what has no default."""
    if request.model is None:
        yield _ask("model", "Which model? Name it as on Hugging Face, or by its short name.")
    if request.platform == "endpoint" and request.url is None:
        yield _ask("url", "Where does the server run? (e.g., http://127.0.0.1:8000)")
    if request.custom_image and request.images.main is None:
        yield _ask("images", "What is the custom vLLM image? (e.g., ghcr.io/org/vllm:tag)")
    if workload == "custom":
        for kind in ("prompt", "output"):
            if getattr(request.profile, kind).mean is None:
                yield _ask(f"{kind}_tokens", f"How many {kind} tokens has a request of your workload, on average?")
    if on_pipeline(request) and not (request.namespace or facts.namespace):
        yield _ask("namespace", "What namespace should I use?")


def _ask(parameter: str, text: str) -> Question:
    return Question(parameter=parameter, kind="missing", text=text)


def _first_of_each(questions: tuple[Question, ...]) -> tuple[Question, ...]:
    found: dict[str, Question] = {}
    for question in questions:
        found.setdefault(question.parameter, question)
    return tuple(found.values())


def _without_value(request: Request) -> Iterator[str]:
    for flag, feature in request.features.items():
        if flag not in request.engine_args and flag not in request.sweep:
            yield f"{feature}: add {flag} with a value, without it nothing is traced"


def _also_run(wanted: Wanted, changes: tuple[Change, ...]) -> Iterator[str]:
    """The treatments of an unchanged values file that were not asked for run too: that must be said."""
    parallelism = changes[0]
    others = [size for size in parallelism.new if size not in wanted.tensor_parallelism]
    if wanted.tensor_parallelism and others and parallelism.category is Category.MATCH:
        sizes = " and ".join(f"TP={size}" for size in others)
        asked = ", ".join(str(size) for size in wanted.tensor_parallelism)
        yield f'the values file also runs {sizes}: say "only TP={asked}" to leave it out'
