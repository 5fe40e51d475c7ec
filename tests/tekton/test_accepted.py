"""Everything that is rendered is accepted by a real API server with Tekton's custom resources, nothing dropped."""

from __future__ import annotations

import pytest

from servelab.catalog.study import load_study
from servelab.cli.main import app
from servelab.kube.accepted import require_accepted
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import Kind
from servelab.spec.errors import NotFoundError
from servelab.tekton import shipped
from servelab.tekton.check.check import check_objects
from servelab.tekton.check.known import known_of
from servelab.tekton.estimate import render_estimation
from servelab.tekton.kinds import PIPELINE_RUN, TASK
from servelab.tekton.render import render_study
from servelab.tekton.schemas import tekton_schemas
from tests.kubernetes import Kubernetes
from tests.tekton.commands import Beside
from tests.tekton.test_render import STUDY
from tests.tekton.test_shipped import VARIANTS, compiled

pytestmark = [pytest.mark.usefixtures("tekton"), pytest.mark.timeout(900)]

NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)


async def test_pipelines_definitions_and_runs(cluster: Cluster) -> None:
    study = render_study(load_study(STUDY, "study.yaml"), cluster.namespace)
    estimation = render_estimation(cluster.namespace)
    variants = [{**compiled(values), "metadata": {"name": f"v{i}"}} for i, values in enumerate(VARIANTS.values())]
    generator = shipped.objects("load-generator")
    objects = [*study.objects, *generator, *estimation.definitions, estimation.run, *variants]
    known = known_of([*study.definitions, *estimation.definitions])
    assert check_objects(objects, known, await tekton_schemas(cluster)) == []
    await require_accepted(cluster, objects, force=True)


def test_an_estimation_is_submitted(
    api: Kubernetes, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig()))
    beside = Beside(api.kubeconfig(), cluster.namespace)
    command = ["tekton", "estimate", "--submit", "-n", cluster.namespace, "--set", "max-concurrency=8"]
    try:
        beside.run(_without_generator(beside))
        with pytest.raises(NotFoundError, match="manifests guidellm-load-generator"):
            app(command)
        beside.run(_with_generator(beside))
        with beside.controller():
            assert app([*command, "--id", "fit-1"]) == 0
        run = beside.ask("get", PIPELINE_RUN, "fit-1")
        given = {one["name"]: one["value"] for one in run["spec"]["params"]}
        assert (given["max-concurrency"], given["batch-size"]) == ("8", "8")
        assert "Succeeded  calculate-parameters" in capsys.readouterr().err
        assert app(["tekton", "cleanup", "fit-1", "-n", cluster.namespace]) in (0, None)
    finally:
        beside.close()


async def _without_generator(beside: Beside) -> None:
    async with connect(kubeconfig=beside.kubeconfig, namespace="pipelines") as there:
        await there.delete(TASK, "guidellm-load-generator")


async def _with_generator(beside: Beside) -> None:
    async with connect(kubeconfig=beside.kubeconfig, namespace="pipelines") as there:
        await there.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pipelines"}})
        (generator,) = shipped.objects("load-generator")
        await there.apply({**generator, "metadata": {**generator["metadata"], "namespace": "pipelines"}})
        assert await there.find(TASK, "guidellm-load-generator") is not None
