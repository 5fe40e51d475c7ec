"""What a request must not carry any further, and a question for each such thing."""

from __future__ import annotations

from servelab.catalog.workloads import presets
from servelab.request import safe
from servelab.request.fields import FIELDS, is_whole
from servelab.request.images import complete_images
from servelab.request.match import LIMITS
from servelab.request.said import Images, Question, Request
from servelab.request.values import Values
from servelab.spec.base import Value


def refuse(request: Request, values: Values) -> tuple[Request, list[Question]]:
    """The request without what must not reach a manifest, and a question for each such thing."""
    faults: dict[str, str] = {}
    keep: dict[str, object] = {}
    checks = {"model": safe.model_fault, "namespace": safe.namespace_fault, "workload": _workload_fault}
    for name, check in checks.items():
        if (said := getattr(request, name)) is not None and (fault := check(said)):
            faults[name], keep[name] = fault, None
    for name in LIMITS:
        if (limit := getattr(request, name)) is not None and limit < 1:
            faults[name], keep[name] = f"{name} must be a positive number, not {limit}", None
    if any(size < 1 for size in request.tensor_parallelism):
        faults["tensor_parallelism"] = f"TP={min(request.tensor_parallelism)} is no number of accelerators"
        keep["tensor_parallelism"] = ()
    images = complete_images(request.images, values)
    for image in (images.main, images.init):
        if image is not None and request.images != Images() and (fault := safe.image_fault(image)):
            faults["images"], keep["images"] = fault, Images()
    for field in ("engine_args", "sweep"):
        found = {flag: _argument_fault(flag, value) for flag, value in getattr(request, field).items()}
        faults |= {FIELDS.get(flag, flag): fault for flag, fault in found.items() if fault}
        keep[field] = {flag: value for flag, value in getattr(request, field).items() if not found[flag]}
    questions = [
        Question(parameter=name, kind="missing", text=f"{fault}. What should it be?") for name, fault in faults.items()
    ]
    return request.model_copy(update=keep), questions


def _workload_fault(name: str) -> str | None:
    known = name == "custom" or name in presets()
    return None if known else f"there is no workload preset {safe.shown(name)}; known are {', '.join(presets())}"


def _argument_fault(flag: str, value: Value | tuple[Value, ...]) -> str | None:
    values = value if isinstance(value, tuple) else (value,)
    if flag in FIELDS and (not isinstance(value, tuple) or not all(map(is_whole, values))):
        # What its field could take is there already; a list of numbers is swept.
        return f"{flag} is a whole number, given once; this is {' and '.join(safe.shown(str(one)) for one in values)}"
    return next((fault for one in values if (fault := safe.argument_fault(flag, one))), None)
