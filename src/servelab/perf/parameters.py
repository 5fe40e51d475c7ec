"""The neutral JSON of fitted coefficients: what they are of, how sure, where they hold, and where they come from."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from pydantic import Field, ValidationError, model_validator

from servelab.perf.models import (
    MODELS,
    DecodeModel,
    Lengths,
    LinearBatch,
    LinearPrefill,
    PerformanceModel,
    PrefillModel,
)
from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError, NotFoundError
from servelab.spec.workload import LONGEST

if TYPE_CHECKING:
    import numpy as np

FORMAT = "servelab.parameters/1"


class Coefficient(Spec):
    """A value with its unit, and its 95 % interval where one is known."""

    value: float
    unit: str
    interval: tuple[float, float] | None = None


class Span(Spec):
    """From where to where something was measured; beyond is extrapolation."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies within, but for rounding."""
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return self.low - slack <= value <= self.high + slack

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


class Goodness(Spec):
    """How well a model fits what it was fitted to."""

    points: int = Field(ge=0, description="measurements that took part")
    r_squared: float | None = None
    mape: float | None = Field(default=None, description="mean absolute error as a share of what was measured")
    aicc: float | None = Field(default=None, description="Akaike's information criterion, corrected; less is better")


class Fit(Spec):
    """The coefficients of one named model."""

    model: str
    values: dict[str, Coefficient]
    covariance: tuple[tuple[float, ...], ...] | None = Field(
        default=None, description="of the values, in their order; None where it is not known"
    )
    valid: dict[str, Span] = Field(
        default_factory=dict, description="range of validity: batch (requests), prompt_tokens, output_tokens"
    )
    goodness: Goodness | None = None

    @model_validator(mode="after")
    def _of_its_model(self) -> Self:
        known = MODELS.get(self.model)
        if known is None:
            raise ValueError(f"there is no performance model {self.model!r}; known are {', '.join(MODELS)}")
        units = {name: coefficient.unit for name, coefficient in self.values.items()}
        if not all(math.isfinite(coefficient.value) for coefficient in self.values.values()):
            raise ValueError(f"the coefficients of {self.model} have to be finite")
        if units != dict(known.units):
            raise ValueError(f"{self.model} has the coefficients {dict(known.units)} with their units, not {units}")
        size = len(self.values)
        if self.covariance is not None and [len(row) for row in self.covariance] != [size] * size:
            raise ValueError(f"the covariance of {self.model} has to be {size} x {size}")
        if self.covariance is not None and not _is_covariance(self.covariance):
            raise ValueError(f"the covariance of {self.model} has to be symmetric and positive semi-definite")
        return self

    @classmethod
    def of(cls, model: PerformanceModel, **rest: Any) -> Self:
        """A fit with a model's coefficients; ``rest`` are the other fields."""
        values = {n: Coefficient(value=getattr(model, n), unit=unit) for n, unit in model.units.items()}
        return cls(model=model.name, values=values, **rest)

    @property
    def instance(self) -> PerformanceModel:
        """The model with these coefficients."""
        return MODELS[self.model](**{name: one.value for name, one in self.values.items()})

    def draws(self, rng: np.random.Generator, count: int) -> list[PerformanceModel]:
        """Models with coefficients drawn from their joint normal distribution; all alike without a covariance."""
        if self.covariance is None:
            return [self.instance] * count
        mean = [one.value for one in self.values.values()]
        rows = rng.multivariate_normal(mean, self.covariance, size=count, method="eigh")
        return [MODELS[self.model](**dict(zip(self.values, map(float, row), strict=True))) for row in rows]

    def outside(self, **at: float) -> tuple[str, ...]:
        """A sentence for each of these quantities that lies beyond what was measured, as ``batch=128``."""
        return tuple(
            f"{self.model} is extrapolated: {name.replace('_', ' ')} {value:g} is outside of the "
            f"{span} that {'was' if span.low == span.high else 'were'} measured"
            for name, value in at.items()
            if (span := self.valid.get(name)) is not None and not span.holds(value)
        )


class FittedWorkload(Spec):
    """The requests that the coefficients come from; mean tokens."""

    prompt_tokens: float | None = Field(default=None, gt=0, le=LONGEST)
    output_tokens: float | None = Field(default=None, gt=0, le=LONGEST)
    model: str | None = Field(default=None, description="the served model")


class Origin(Spec):
    """Where the coefficients come from."""

    method: Literal["two-point", "sweep", "given"]
    servelab: str = ""
    study: str | None = Field(default=None, description="id of the study that measured")
    engine: str | None = None
    engine_version: str | None = None
    simulated: bool = False
    harness: str | None = None
    machine: dict[str, Any] = Field(default_factory=dict)
    files: tuple[str, ...] = Field(default=(), description="reports that were read")
    created_at: str = ""


class TwoPoint(Spec):
    """What the estimation pipeline's parameters.json holds, latencies in ms; alpha and beta are of ``linear-batch``."""

    itl_synchronous: float
    itl_throughput: float
    batch_size: float
    alpha: float
    beta: float


class Parameters(Spec):
    """Fitted models of one deployment. ``decode`` and ``prefill`` name the ones to predict with."""

    format: Literal["servelab.parameters/1"] = "servelab.parameters/1"
    fits: tuple[Fit, ...] = Field(min_length=1)
    decode: str = Field(description="the model that tells ITL best")
    prefill: str | None = Field(default=None, description="the model that tells TTFT best, where one is known")
    workload: FittedWorkload = FittedWorkload()
    provenance: Origin
    two_point: TwoPoint | None = Field(default=None, description="in a file, its fields stand at the top")
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        for name, ability in ((self.decode, "itl"), (self.prefill, "ttft")):
            if name is not None and not hasattr(MODELS[self.fit(name).model], ability):
                raise ValueError(f"{name} does not tell {ability.upper()}")
        return self

    def fit(self, model: str) -> Fit:
        """The fit of the model called ``model``.

        Raises:
            ValueError: it was not fitted.
        """
        found = [fit for fit in self.fits if fit.model == model]
        if not found:
            raise ValueError(f"no fit of {model}; there are {', '.join(fit.model for fit in self.fits)}")
        return found[0]

    def predicting_by(self, model: str) -> Self:
        """The same, to be predicted with this one of its models: ITL, and TTFT where it tells that too.

        Raises:
            DocumentError: it was not fitted, or does not tell ITL.
        """
        able = [fit.model for fit in self.fits if hasattr(MODELS[fit.model], "itl")]
        if model not in able:
            raise DocumentError((f"{model} cannot be predicted with; the file has {', '.join(able)}",))
        prefill = model if hasattr(MODELS[model], "ttft") else self.prefill
        return self.model_copy(update={"decode": model, "prefill": prefill})

    @property
    def decode_fit(self) -> Fit:
        """The fit that tells ITL best."""
        return self.fit(self.decode)

    @property
    def prefill_fit(self) -> Fit | None:
        """The fit that tells TTFT best, if any."""
        return None if self.prefill is None else self.fit(self.prefill)

    @property
    def decode_model(self) -> DecodeModel:
        """The model that tells ITL best."""
        return cast("DecodeModel", self.decode_fit.instance)

    @property
    def prefill_model(self) -> PrefillModel | None:
        """The model that tells TTFT best, if any."""
        return None if self.prefill is None else cast("PrefillModel", self.fit(self.prefill).instance)

    @property
    def lengths(self) -> Lengths | None:
        """The workload's mean lengths, where both are known."""
        prompt, output = self.workload.prompt_tokens, self.workload.output_tokens
        return None if prompt is None or output is None else Lengths(prompt, output)


def read_parameters(path: Path) -> Parameters:
    """Read the neutral JSON.

    Raises:
        NotFoundError: there is no such file.
        DocumentError: it cannot be read, or is not of this form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {path}", "Make one: servelab estimate --output parameters.json"
        ) from None
    except OSError as error:
        raise DocumentError((f"cannot read {path}: {error.strerror or error}",)) from error
    except ValueError as error:
        raise DocumentError((f"{path} is not JSON: {error}",)) from None
    return parse_parameters(text, str(path))


def parse_parameters(text: str, source: str) -> Parameters:
    """The neutral JSON, or the parameters.json of the estimation pipeline; ``source`` is what errors call it.

    Raises:
        DocumentError: it is not of this form.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError((f"{source} is not JSON: {error}",)) from None
    pipeline = set(TwoPoint.model_fields)
    if not isinstance(data, dict) or (data.get("format") != FORMAT and set(data) != pipeline):
        raise DocumentError(
            (f"{source} is not of the format {FORMAT}",),
            "Files that servelab estimate writes can be read, and the parameters.json of the estimation pipeline.",
        )
    try:
        if "format" not in data:
            return of_two_points(TwoPoint.model_validate(data), Origin(method="two-point", files=(source,)))
        if pipeline <= set(data):
            found = {name: data.pop(name) for name in TwoPoint.model_fields}
            data["two_point"] = found
        return Parameters.model_validate(data)
    except ValidationError as error:
        problems = (f"{source}: {'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise DocumentError(tuple(problems)) from None


def write_parameters(parameters: Parameters, path: Path) -> None:
    """Write the neutral JSON; a file that is there stays whole until the new one is.

    Raises:
        DocumentError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(file_data(parameters), indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise DocumentError((f"cannot write {path}: {error.strerror or error}",)) from error


def file_data(parameters: Parameters) -> dict[str, Any]:
    """What a file holds; of the two-point formula, the fields of the pipeline's parameters.json come first."""
    data = parameters.model_dump(mode="json", exclude={"two_point"})
    return data if parameters.two_point is None else {**parameters.two_point.model_dump(), **data}


def of_two_points(
    found: TwoPoint,
    origin: Origin,
    prefill: LinearPrefill | None = None,
    workload: FittedWorkload | None = None,
    warnings: tuple[str, ...] = (),
    in_flight: float | None = None,
) -> Parameters:
    """The parameters of two points: exact by construction, so that nothing is known of their uncertainty.

    ``in_flight`` are the requests that were really under way in the throughput benchmark; None where that is not known.
    """
    workload = workload or FittedWorkload()
    lengths = {"prompt_tokens": workload.prompt_tokens, "output_tokens": workload.output_tokens}
    valid = {n: Span(low=math.floor(mean), high=math.ceil(mean)) for n, mean in lengths.items() if mean is not None}
    valid["batch"] = Span(low=1, high=max(1.0, min(in_flight or found.batch_size, found.batch_size)))
    fits = [Fit.of(LinearBatch(found.alpha / 1000, found.beta / 1000), valid=valid, goodness=Goodness(points=2))]
    if prefill is not None:
        fits.append(Fit.of(prefill, valid=valid, goodness=Goodness(points=2)))
    return Parameters(
        fits=tuple(fits),
        decode=LinearBatch.name,
        prefill=None if prefill is None else prefill.name,
        workload=workload,
        provenance=origin,
        two_point=found,
        warnings=warnings,
    )


def in_milliseconds(value: float, unit: str) -> str:
    """A coefficient for people: seconds as milliseconds, with the unit."""
    if unit == "s" or unit.startswith("s/"):
        return f"{value * 1000:.4g} m{unit}"
    return f"{value:.4g}{'' if unit == '1' else ' ' + unit}" if math.isfinite(value) else "-"


def _is_covariance(rows: Sequence[Sequence[float]]) -> bool:
    """Whether rows are a symmetric positive semi-definite matrix, but for rounding; its units may differ by far."""
    import numpy as np

    matrix = np.array(rows)
    variances = np.diag(matrix)
    if (variances < 0).any():
        return False
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = matrix / np.outer(scale, scale)
    return bool(np.allclose(correlation, correlation.T, atol=1e-6) and np.linalg.eigvalsh(correlation)[0] > -1e-6)
