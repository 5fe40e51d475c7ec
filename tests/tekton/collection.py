"""A small data collection: a template of our own, its values, its run, its Tasks."""

from __future__ import annotations

from typing import Any

from servelab.kube.kinds import Manifest
from servelab.tekton.experiment import Experiment

TEMPLATE = """
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: "{{ experiment.name | dns }}"}
spec:
  workspaces: [{name: data}]
  params: [{name: experimentId}, {name: model}, {name: namespace}]
  tasks:
    - name: download-model
      taskRef: {name: download}
    - loopName: per-stack
      foreach:
        domain:
          tp: {{ stack.treatments.tensorParallelism }}
      tasks:
        - name: deploy-model-{{ tp }}
          taskRef: {name: deploy}
          runAfter: [download-model]
          params: [{name: label, value: "$(params.experimentId)-{{ tp }}"}]
        - name: run-workload-{{ tp }}
          taskRef: {name: load}
          runAfter: ["deploy-model-{{ tp }}"]
          workspaces: [{name: data}]
          params: [{name: label, value: "$(params.experimentId)-{{ tp }}"}]
  finally:
    - loopName: cleanup
      foreach:
        domain:
          tp: {{ stack.treatments.tensorParallelism }}
      tasks:
        - name: finally-delete-model-{{ tp }}
          taskRef: {name: deploy}
          params: [{name: label, value: "$(params.experimentId)-{{ tp }}"}]
"""

VALUES = """
experiment: {name: small}
stack:
  treatments:
    tensorParallelism: [2, 4]  # of each engine
  MAX_MODEL_LEN: 8192
  MAX_NUM_BATCHED_TOKENS: 2048
  MAX_NUM_SEQS: 256
  workload:
    app: chat
    profile:
      {rate_type: constant, rate: 2, max_requests: 20, data: {prompt_tokens: 100, output_tokens: 50}}
  model:
    helmValues:
      decode:
        containers:
          - name: vllm
            image: vllm/vllm-openai:v0.11.0
            args: [--enable-prefix-caching]
            resources: {limits: {memory: 64Gi}}
"""

RUN = """
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: NAME}
spec:
  pipelineRef: {name: small}
  workspaces: [{name: data, persistentVolumeClaim: {claimName: data-pvc}}]
  params:
    - {name: experimentId, value: NAME}
    - {name: model, value: some/model}
    - {name: namespace, value: default}
"""


def experiment(name: str, **values: str) -> Experiment:
    """The experiment under an id; ``values`` replaces text in its values."""
    text = VALUES
    for before, after in values.items():
        text = text.replace(before, after)
    return Experiment(TEMPLATE, text, RUN.replace("NAME", name))


def tasks() -> list[Manifest]:
    """Its Tasks."""
    return [_task(name) for name in ("download", "deploy", "load")]


def _task(name: str) -> Manifest:
    parameters: list[Any] = [] if name == "download" else [{"name": "label", "type": "string"}]
    workspaces = [{"name": "data"}] if name == "load" else []
    steps = [{"name": "run", "image": "busybox:1.37", "script": "true"}]
    spec = {"params": parameters, "workspaces": workspaces, "steps": steps}
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": name}, "spec": spec}
