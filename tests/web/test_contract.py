"""The REST interface keeps what its description promises, for whatever may be sent to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from servelab.web.api.routers import ROUTERS
from tests.web.finished import HELD, TUNED, create, finish
from tests.web.served import Served

APART = ("/api/v1/events", "/api/v1/doctor/harness")  # endless, and long: they have tests of their own
ROUTES = [
    (route.path, method)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.path not in APART
    for method in sorted(route.methods)
]
# What a document or an address says is more than a pattern can tell: that it is refused is no fault.
LEFT_OUT: list[CheckFunction] = [positive_data_acceptance]
bounded = settings(
    max_examples=8, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def study(served: Served) -> Iterator[str]:
    """A study that has run, so that there is something to answer with."""
    found = create(served, TUNED.replace("repeats: 4", "repeats: 1").replace("rounds: 3", "rounds: 1"))
    create(served, HELD, start=False)
    finish(served, found)
    return found


@pytest.fixture(scope="module")
def rest(served: Served, study: str) -> OpenApiSchema:
    del study
    return schemathesis.openapi.from_url(f"{served.url}/api/v1/openapi.json")


def holds(served: Served, operation: APIOperation, mode: GenerationMode, **path: object) -> None:
    """Hold answers against the description; whoever is told to wait waits, as a well-behaved client does."""

    @bounded
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.path_parameters.update(path)
        while (answer := case.call(timeout=120)).status_code == 429:
            time.sleep(float(answer.headers["retry-after"][0]))
        case.validate_response(answer, excluded_checks=LEFT_OUT)

    with contextlib.suppress(Unsatisfiable):  # where nothing can be sent, nothing wrong can be
        ask()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_every_answer_is_one_that_is_described(
    served: Served, rest: OpenApiSchema, path: str, method: str, mode: GenerationMode
) -> None:
    holds(served, rest[path][method], mode)


@pytest.mark.parametrize("path", [path for path, method in ROUTES if method == "GET" and "{study_id}" in path])
def test_and_so_of_a_study_that_there_is(served: Served, rest: OpenApiSchema, study: str, path: str) -> None:
    number = {"number": 1} if "{number}" in path else {}
    holds(served, rest[path]["GET"], GenerationMode.POSITIVE, study_id=study, **number)


def operations(served: Served) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in served.ask("/api/v1/openapi.json").data["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_says_what_it_is_for(served: Served) -> None:
    routes = dict(operations(served))
    assert len(routes) >= 10
    for name, operation in routes.items():
        assert name.partition(" ")[2].startswith("/api/v1/")
        assert operation["summary"], name
        assert len(operation.get("description", "")) > 10, f"{name} has no description"
        assert operation["tags"], name
        for code in ("401", "403", "413", "421", "429", "500"):
            assert "Problem" in str(operation["responses"][code]), (name, code)
        for parameter in operation.get("parameters", ()):
            shown = {"example", "examples"} & {*parameter, *parameter["schema"]}
            choice = "enum" in str(parameter["schema"]) or "default" in parameter["schema"]
            assert shown or choice or "boolean" in str(parameter["schema"]), f"{name}: {parameter['name']}"


def test_bodies_have_examples(served: Served) -> None:
    described = served.ask("/api/v1/openapi.json").data
    for name, operation in operations(served):
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json":
                continue
            schema = described["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
            given = {"example", "examples"} & {*body, *schema}
            assert given or all("examples" in schema["properties"][field] for field in schema["required"]), name


def test_nothing_of_rest_is_left_out_of_the_description(served: Served) -> None:
    described = {path for _, path in (name.split(" ", 1) for name, _ in operations(served))}
    assert {route.path for router in ROUTERS for route in router.routes} == described


def test_what_is_wrong_with_a_document_is_said_with_its_place(served: Served) -> None:
    answer = served.ask("/api/v1/studies", {"document": "name: x\nmodel: nothing\nengine: {name: vlm}\n"})
    assert answer.status == 422
    assert answer.data["problems"]
    for body in (None, [], {}, {"document": 1}, {"document": "x", "start": "yes"}, {"document": "x", "more": 1}):
        answer = served.ask("/api/v1/studies", body, "POST")
        assert answer.status == 422, body
        assert answer.data["problems"], body
        assert set(answer.data) == {"message", "remedy", "problems"}


def test_the_beginning_of_an_id_is_no_id(served: Served, study: str) -> None:
    for path, method in ((f"{study[:-1]}", "DELETE"), ("tuned", "DELETE"), (f"{study[:-1]}/cancel", "POST")):
        assert served.ask(f"/api/v1/studies/{path}", method=method).status == 404
    assert served.ask(f"/api/v1/studies/{study}").status == 200
