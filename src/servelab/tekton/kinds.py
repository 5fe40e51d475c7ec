"""Tekton's kinds of objects."""

from __future__ import annotations

from servelab.kube.kinds import Kind

GROUP = "tekton.dev"
VERSION = f"{GROUP}/v1"
STEP_ACTION_VERSION = f"{GROUP}/v1beta1"

PIPELINE = Kind(VERSION, "Pipeline", "pipelines")
PIPELINE_RUN = Kind(VERSION, "PipelineRun", "pipelineruns")
TASK = Kind(VERSION, "Task", "tasks")
TASK_RUN = Kind(VERSION, "TaskRun", "taskruns")
STEP_ACTION = Kind(STEP_ACTION_VERSION, "StepAction", "stepactions")
