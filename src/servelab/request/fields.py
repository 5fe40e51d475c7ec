"""Engine arguments that a request has fields for, in those fields."""

from __future__ import annotations

from servelab.request.said import Request
from servelab.spec.base import Value

FLAGS = {
    "--max-model-len": "max_model_len",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--max-num-seqs": "max_num_seqs",
}
"""Engine arguments that are fields of a request."""

PARALLELISM = ("--tensor-parallel-size", "-tp")

FIELDS = {**FLAGS, **dict.fromkeys(PARALLELISM, "tensor_parallelism")}
"""Engine argument -> the field of a request that holds it."""

AUTOMATIC = "--otlp-traces-endpoint"
"""The argument that the pipeline itself sets, for each treatment."""


def as_fields(request: Request) -> Request:
    """The request with engine arguments that it has fields for in those fields."""
    given, swept = dict(request.engine_args), dict(request.sweep)
    fields: dict[str, int | tuple[int, ...]] = {}
    for flag, name in FLAGS.items():
        value = given.get(flag)
        if is_whole(value) and getattr(request, name) in (None, value):
            fields[name] = int(given.pop(flag))
    for flag in PARALLELISM:
        levels = swept.get(flag, ()) or ((given[flag],) if flag in given else ())
        sizes = tuple(int(level) for level in levels if is_whole(level))
        if len(sizes) == len(levels) and request.tensor_parallelism in ((), sizes) and sizes:
            fields["tensor_parallelism"] = sizes
            for left in (given, swept):
                left.pop(flag, None)
    return request.model_copy(update={**fields, "engine_args": given, "sweep": swept})


def is_whole(value: Value | None) -> bool:
    """Whether it is a whole number, which true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)
