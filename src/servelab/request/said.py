"""What a person asked for: the fields of a request, and what is still open in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import PlainSerializer

from servelab.spec.base import Spec, Value
from servelab.spec.budget import Budget
from servelab.spec.goal import Constraint, Objective

Limits = Annotated[Budget, PlainSerializer(lambda budget: budget.model_dump(exclude_unset=True))]
"""A budget whose limits stay unsaid where they were: a design is not cut at the usual trials of a search."""


class Intent(StrEnum):
    """What the experiment is for."""

    COLLECT = "collect"  # measure given configurations and keep the data
    EXPERIMENT = "experiment"  # every combination of given levels
    ESTIMATE = "estimate"  # coefficients of the latency
    TUNE = "tune"  # search for the best configuration


class Lengths(Spec):
    """What was said of a token count; None where nothing was."""

    mean: float | None = None
    stdev: float | None = None
    min: int | None = None
    max: int | None = None


class Profile(Spec):
    """What was said of the workload's numbers, on top of a preset or of the defaults of a custom workload."""

    prompt: Lengths = Lengths()
    output: Lengths = Lengths()
    prefix: int | None = None
    max_requests: int | None = None
    rates: tuple[float, ...] = ()
    rate_type: Literal["sweep", "constant", "poisson", "synchronous", "throughput", "concurrent"] | None = None
    concurrency: tuple[float, ...] = ()
    seconds: float | None = None


class Images(Spec):
    """Container images of the engine; a bare tag is completed from the default image."""

    main: str | None = None
    init: str | None = None


class Request(Spec):
    """The fields of a request, None or empty where nothing was said. ``engine_args`` and ``sweep`` go by flag."""

    intent: Intent | None = None
    model: str | None = None
    namespace: str | None = None
    experiment_id: str | None = None
    engine: str | None = None
    platform: str | None = None
    url: str | None = None
    """Of a server that runs already."""
    accelerator: str | None = None
    accelerators: int | None = None
    """How many accelerators were spoken of."""
    workload: str | None = None
    """A preset's name, or ``custom``."""
    profile: Profile = Profile()
    tensor_parallelism: tuple[int, ...] = ()
    only: bool = False
    """Whether exactly these tensor parallelisms were asked for ("only TP=4")."""
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    images: Images = Images()
    custom_image: bool = False
    """Whether an image of one's own was mentioned, named or not."""
    features: dict[str, str] = {}
    """Flag -> what was spoken of without it, as journey tracing; it needs a value."""
    engine_args: dict[str, Value] = {}
    sweep: dict[str, tuple[Value, ...]] = {}
    tuned: tuple[str, ...] = ()
    """Flags that a search is about, over their usual ranges; empty for all that have one."""
    objective: Objective | None = None
    constraints: tuple[Constraint, ...] = ()
    budget: Limits | None = None


class Option(Spec):
    """One answer to a question."""

    value: str
    label: str
    notes: tuple[str, ...] = ()
    recommended: bool = False


class Question(Spec):
    """Something that must be asked before anything runs; ``parameter`` is a field of the request or a flag."""

    parameter: str
    kind: Literal["missing", "ambiguous"]
    text: str
    options: tuple[Option, ...] = ()


class Understanding(Spec):
    """A request, the words that each of its fields came from, and what is open."""

    request: Request
    words: dict[str, str] = {}
    """Field -> the person's own words ("chatbot")."""
    by_model: tuple[str, ...] = ()
    """Fields that a language model understood, not the grammar."""
    questions: tuple[Question, ...] = ()
    warnings: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()
    """Pieces of the sentence that nothing was made of."""
