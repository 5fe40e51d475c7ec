"""Runs from submission to clean-up, against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from servelab.kube.accepted import require_accepted
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import CLAIM, POD, SECRET, Kind, Manifest
from servelab.kube.labels import MANAGED, OURS, STUDY, TRIAL, label, marked
from servelab.kube.watch import Change, watch
from servelab.spec.errors import ClusterError, DocumentError, NotFoundError
from servelab.tekton.board import Board
from servelab.tekton.cleanup import remaining, remove_run
from servelab.tekton.control import cancel
from servelab.tekton.experiment import compile_experiment
from servelab.tekton.follow import follow, snapshot
from servelab.tekton.kinds import PIPELINE, PIPELINE_RUN, TASK, TASK_RUN
from servelab.tekton.source import CONFIG, read_source
from servelab.tekton.status import RunStatus
from servelab.tekton.submit import CollisionError, apply_definitions, deploy, dry_run, require_free
from tests.kubernetes import Kubernetes, definitions
from tests.tekton.collection import experiment, tasks
from tests.tekton.controller import Behaviour, controlled

pytestmark = [pytest.mark.usefixtures("tekton"), pytest.mark.timeout(900)]


async def submitted(cluster: Cluster, name: str, **values: str) -> None:
    """Submit the small collection, as the command does."""
    one = experiment(name, **values).renamed(name, cluster.namespace)
    compiled = compile_experiment(one, tasks())
    await require_free(cluster, name)
    await dry_run(cluster, compiled)
    assert await apply_definitions(cluster, compiled) == (0, 3)
    await deploy(cluster, one, compiled)


async def followed(cluster: Cluster, name: str, told: Callable[[Board], object] = lambda _: None) -> RunStatus:
    async with asyncio.timeout(240):
        return await follow(cluster, Board(name), told)


def states(status: RunStatus) -> dict[str, str]:
    return {task.task: task.state for task in status.tasks}


async def test_a_run_succeeds_and_leaves_nothing(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "good")
    assert (await snapshot(cluster, "good")).status.state == "PENDING"  # type: ignore[union-attr]
    seen: list[str] = []

    def told(board: Board) -> None:
        status = board.status
        if status is not None:
            seen.append(f"{status.state} {sum(task.state == 'Running' for task in status.tasks)}")

    async with controlled(api.kubeconfig(), cluster.namespace, run_workload_2=Behaviour(seconds=1.2)):
        status = await followed(cluster, "good", told)
    assert status.state == "SUCCESS"
    assert list(states(status)) == [
        "download-model",
        *(f"{what}-{tp}" for tp in (2, 4) for what in ("deploy-model", "run-workload")),
        "finally-delete-model-2",
        "finally-delete-model-4",
    ]
    assert set(states(status).values()) == {"Succeeded"}
    assert {line.split()[0] for line in seen} - {"PENDING"} == {"RUNNING", "SUCCESS"}
    for run in (await cluster.list(TASK_RUN)).items:
        assert label(run, STUDY) == "good"
        task = label(run, "tekton.dev/pipelineTask")
        assert label(run, TRIAL) == (task[-1] if task[-1].isdigit() else "all")
    assert (await read_source(cluster, "good")).name == "good"
    await remove_run(cluster, "good")
    assert await remaining(cluster, {STUDY: None}) == []
    assert await remaining(cluster, {MANAGED: "servelab"}) == []
    assert (await cluster.list(TASK_RUN)).items == []


async def test_cleaning_up_leaves_other_runs_and_their_tasks(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "one")
    await submitted(cluster, "one-2")
    await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}})
    async with controlled(api.kubeconfig(), cluster.namespace):
        await followed(cluster, "one")
        await followed(cluster, "one-2")
    removed = await remove_run(cluster, "one")
    assert {one.kind for one in removed} == {"PipelineRun", "Pipeline", "TaskRun", "ConfigMap"}
    assert await cluster.find(PIPELINE, "one-2") is not None
    assert (await snapshot(cluster, "one-2")).status.state == "SUCCESS"  # type: ignore[union-attr]
    assert len((await cluster.list(TASK)).items) == 3
    await remove_run(cluster, "one-2")
    assert (await cluster.list(TASK)).items == []
    assert await remaining(cluster, {MANAGED: None}) == []


async def test_cleaning_up_leaves_what_other_studies_have_in_the_namespace(api: Kubernetes, cluster: Cluster) -> None:
    assert definitions("ome")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    service = await cluster.kind_of({"apiVersion": "ome.io/v1beta1", "kind": "InferenceService"})
    config = {"engine": {"minReplicas": 1, "maxReplicas": 1}}
    await cluster.create(CLAIM, marked({"metadata": {"name": "servelab-results"}, "spec": spec}))
    await cluster.create(service, marked({"metadata": {"name": "theirs-1"}, "spec": config}, "theirs", "1"))

    async def others() -> set[str]:
        return {item["metadata"]["name"] for _, item in await remaining(cluster, {MANAGED: OURS}) if untouched(item)}

    def untouched(item: Manifest) -> bool:
        return "deletionTimestamp" not in item["metadata"]

    with pytest.raises(NotFoundError, match="no run typo-run in"):
        await remove_run(cluster, "typo-run")
    assert await others() == {"servelab-results", "theirs-1"}
    await submitted(cluster, "ours")
    async with controlled(api.kubeconfig(), cluster.namespace):
        await followed(cluster, "ours")
    with pytest.raises(NotFoundError):
        await remove_run(cluster, "typo-run")
    assert len((await cluster.list(TASK)).items) == 3
    await require_free(cluster, "ours", replace=True)
    assert await others() == {"servelab-results", "theirs-1"}
    assert await remaining(cluster, {STUDY: "ours"}) == []
    assert (await cluster.list(TASK)).items == []


async def test_a_failed_task_ends_the_following_at_once(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "bad")
    behaviours = {"deploy_model_2": Behaviour(fails=True), "deploy_model_4": Behaviour(seconds=None)}
    async with controlled(api.kubeconfig(), cluster.namespace, **behaviours):
        status = await followed(cluster, "bad")
        assert status.state == "RUNNING"  # others still run, Tekton waits for them
        assert [task.task for task in status.failed] == ["deploy-model-2"]
        assert (status.failed[0].trial, status.failed[0].message) == ("2", '"step-run" exited with code 1')
        with pytest.raises(ClusterError, match="has not ended") as refusal:
            await remove_run(cluster, "bad")
        assert refusal.value.remedy == f"Cancel it first: servelab tekton cancel bad -n {cluster.namespace}"
        await cancel(cluster, "bad")
        async with asyncio.timeout(240):
            while not (status := (await snapshot(cluster, "bad")).status) or not status.final:
                await asyncio.sleep(0.1)
    assert status.state == "CANCELLED"
    assert states(status)["finally-delete-model-2"] == "Succeeded"
    assert states(status)["run-workload-2"] == "Skipped"
    with pytest.raises(ClusterError, match="has ended already"):
        await cancel(cluster, "bad")


async def test_cancelling_at_once_runs_no_final_tasks(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "stop")
    async with controlled(api.kubeconfig(), cluster.namespace, download_model=Behaviour(seconds=None)):
        following = asyncio.create_task(followed(cluster, "stop"))
        while not (await cluster.list(TASK_RUN)).items:
            await asyncio.sleep(0.1)
        await cancel(cluster, "stop", now=True)
        status = await following
    assert status.state == "CANCELLED"
    assert states(status)["finally-delete-model-4"] == "Pending"


async def test_the_api_server_and_the_client_are_killed_in_the_middle(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "tough")
    lost: list[str] = []

    def told(board: Board) -> None:
        if board.lost:
            lost.append(board.lost)

    workload = Behaviour(seconds=None)
    async with controlled(api.kubeconfig(), cluster.namespace, run_workload_2=workload):
        following = asyncio.create_task(followed(cluster, "tough", told))
        while len((await cluster.list(TASK_RUN)).items) < 3:
            await asyncio.sleep(0.1)
        await asyncio.to_thread(api.kill)
        while not lost:
            await asyncio.sleep(0.05)
        following.cancel()  # the terminal dies too
        await asyncio.gather(following, return_exceptions=True)
        await asyncio.to_thread(api.start)
        workload.seconds = 0.0
        async with connect(kubeconfig=api.kubeconfig(), namespace=cluster.namespace) as another:
            status = await followed(another, "tough")
    assert status.state == "SUCCESS"
    assert "cannot reach" in lost[0] or "lost" in lost[0]


async def test_a_collision_has_three_ways_out(api: Kubernetes, cluster: Cluster) -> None:
    await submitted(cluster, "same")
    with pytest.raises(CollisionError) as collision:
        await submitted(cluster, "same")
    assert collision.value.free == "same-v2"
    assert "--replace" in collision.value.remedy
    with pytest.raises(ClusterError, match="has not ended"):
        await require_free(cluster, "same", replace=True)
    async with controlled(api.kubeconfig(), cluster.namespace):
        await followed(cluster, "same")
    await require_free(cluster, "same", replace=True)
    assert await cluster.find(PIPELINE_RUN, "same") is None


async def test_what_the_server_drops_is_refused(cluster: Cluster) -> None:
    one = experiment("typo").renamed("typo", cluster.namespace)
    compiled = compile_experiment(one, tasks())
    compiled.run["spec"]["timeout"] = "1h"  # of v1beta1; v1 has timeouts
    with pytest.raises(DocumentError, match=r"PipelineRun typo: spec: unknown field `timeout`, did you mean"):
        await dry_run(cluster, compiled)
    with pytest.raises(ClusterError, match=r"does not know spec\.timeout of PipelineRun typo"):
        await require_accepted(cluster, [compiled.run], force=True)
    assert await cluster.find(PIPELINE_RUN, "typo") is None


async def test_what_belongs_to_somebody_else_is_left_alone(cluster: Cluster) -> None:
    await cluster.apply(tasks()[0])
    with pytest.raises(ClusterError, match=r"Task download .* is not servelab's"):
        await apply_definitions(cluster, compile_experiment(experiment("mine"), tasks()))


async def test_a_run_that_is_not_there_or_goes_away(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match="no PipelineRun nothing"):
        await followed(cluster, "nothing")
    await submitted(cluster, "goes")
    begun = asyncio.Event()
    following = asyncio.create_task(followed(cluster, "goes", lambda _: begun.set()))
    await begun.wait()
    await cluster.delete(PIPELINE_RUN, "goes")
    with pytest.raises(NotFoundError):
        await following


async def test_a_run_that_goes_away_before_it_is_watched(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await submitted(cluster, "brief")
    find = cluster.find

    async def find_last(kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        found = await find(kind, name, namespace)
        if kind == PIPELINE_RUN:
            await cluster.delete(kind, name)
        return found

    monkeypatch.setattr(cluster, "find", find_last)
    with pytest.raises(NotFoundError):
        await followed(cluster, "brief")


async def test_tasks_that_are_told_later_than_the_end_of_their_run(
    api: Kubernetes, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_watch(of: Cluster, kind: Kind, **options: Any) -> AsyncGenerator[Change]:
        async with aclosing(watch(of, kind, **options)) as changes:
            async for change in changes:
                yield change
                if kind == TASK_RUN and change.type == "synced":
                    await asyncio.Event().wait()  # nothing more is told

    monkeypatch.setattr("servelab.tekton.follow.watch", slow_watch)
    await submitted(cluster, "late")
    latest: list[str] = []
    async with controlled(api.kubeconfig(), cluster.namespace):
        status = await followed(cluster, "late", lambda board: latest.append(board.latest.task if board.latest else ""))
    assert set(states(status).values()) == {"Succeeded"}
    assert set(states(status)) <= set(latest)


async def test_engine_pods_are_those_of_the_study_alone(cluster: Cluster) -> None:
    await submitted(cluster, "eng")

    async def pod(name: str, **labels: str) -> None:
        named = {key.replace("__", "/").replace("llm_", "llm-"): value for key, value in labels.items()}
        container: dict[str, Any] = {"name": "vllm", "image": "v", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
        await cluster.create(POD, {"metadata": {"name": name, "labels": named}, "spec": {"containers": [container]}})

    await pod("ours", **{"llm-d.ai__model": "eng-2"})
    await pod("labelled", **{"servelab__study": "eng"})
    await pod("another-study", **{"llm-d.ai__model": "eng-v2-2"})
    await pod("a-task", **{"servelab__study": "eng", "tekton.dev__taskRun": "x"})
    waiting = {"name": "vllm", "state": {"waiting": {"reason": "ImagePullBackOff"}}, "restartCount": 3, "ready": False}
    required = {"image": "v", "imageID": ""}
    status = {"phase": "Pending", "containerStatuses": [{**waiting, **required}]}
    await cluster.merge(POD, "ours", {"status": status}, subresource="status")
    pods = {one.name: one for one in (await snapshot(cluster, "eng")).pods}
    assert set(pods) == {"ours", "labelled"}
    assert (pods["ours"].status, pods["ours"].ready, pods["ours"].restarts) == ("ImagePullBackOff", False, 3)
    assert (pods["labelled"].status, pods["labelled"].accelerators) == ("Pending", 2)


async def test_what_an_engine_left_goes_with_its_run(api: Kubernetes, cluster: Cluster) -> None:
    """As after ``cancel --now``: a Helm release, and a collector, whose final tasks never ran."""

    def config(name: str, labels: dict[str, str], release: str = "") -> Manifest:
        annotations = {"meta.helm.sh/release-name": release} if release else {}
        return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}

    helm = {"app.kubernetes.io/managed-by": "Helm"}
    await submitted(cluster, "left")
    await cluster.create(CONFIG, config("chart", helm, "left-2-model"))
    await cluster.create(CONFIG, config("another-chart", helm, "left-v2-2-model"))
    await cluster.create(CONFIG, config("collector", {"servelab/collector": "left-4"}))
    await cluster.create(CONFIG, config("another-collector", {"servelab/collector": "left-v2-4"}))
    for release in ("left-2-model", "left-v2-2-model"):
        record = config(f"sh.helm.release.v1.{release}.v1", {"owner": "helm", "name": release})
        await cluster.create(SECRET, record)
    async with controlled(api.kubeconfig(), cluster.namespace, run_workload_2=Behaviour(seconds=None)):
        await cancel(cluster, "left", now=True)
        await followed(cluster, "left")
    removed = {one.name for one in await remove_run(cluster, "left")}
    assert {"chart", "collector", "sh.helm.release.v1.left-2-model.v1"} <= removed
    left = {one["metadata"]["name"] for kind in (CONFIG, SECRET) for one in (await cluster.list(kind)).items}
    assert {"another-chart", "another-collector", "sh.helm.release.v1.left-v2-2-model.v1"} <= left
    assert not removed & left
