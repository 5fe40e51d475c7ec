"""The labels that Tekton puts on TaskRuns and pods."""

from __future__ import annotations

PIPELINE_RUN_LABEL = "tekton.dev/pipelineRun"
PIPELINE_TASK_LABEL = "tekton.dev/pipelineTask"
TASK_RUN_LABEL = "tekton.dev/taskRun"
