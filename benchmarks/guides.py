"""How long a guide takes to convert: ``python -m benchmarks.guides --out docs/benchmarks/guides.md``.

The guides are written here, in the forms that llm-d's own have: Helm values below a helmfile, and a kustomization of
LeaderWorkerSets. Reading, resolving and writing are timed in a process that is already running, as the page does it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from servelab.guides.convert import convert
from servelab.guides.kustomize import tool

RUNS = 30
VARIABLES = ", ".join(f'{{name: VARIABLE_{number}, value: "{number}"}}' for number in range(20))
STAGE = """\
  create: true
  replicas: 4
  parallelism: {tensor: 2, data: 1}
  containers:
  - name: vllm
    image: ghcr.io/llm-d/llm-d-cuda:v0.5.0
    modelCommand: vllmServe
    args: [--block-size, "128", --kv-transfer-config, '{"kv_connector":"NixlConnector"}', --max-model-len, "32000"]
    env: [VARIABLES]
    resources: {limits: {cpu: "16", memory: 64Gi, rdma/ib: 1}, requests: {cpu: "16", memory: 64Gi, rdma/ib: 1}}
    volumeMounts: [{name: shm, mountPath: /dev/shm}, {name: cache, mountPath: /.cache}]
    startupProbe: {httpGet: {path: /v1/models, port: vllm}, failureThreshold: 60}
  volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 16Gi}}, {name: cache, emptyDir: {}}]
""".replace("VARIABLES", VARIABLES)
HELM = {
    "guides/a/helmfile.yaml.gotmpl": """\
environments: {default: {values: [env.yaml]}}
---
releases:
- {name: infra, chart: llm-d-infra/llm-d-infra, version: v1.3.6, values: [{gateway: {gatewayClassName: kgateway}}]}
- {name: gaie, chart: oci://x/inferencepool, version: v1.3.0, values: [gaie-a/values.yaml]}
- {name: ms, chart: llm-d-modelservice/llm-d-modelservice, version: v0.4.5, values: [ms-a/values.yaml]}
""",
    "guides/a/env.yaml": "gateway: {gatewayClassName: kgateway}\n",
    "guides/a/gaie-a/values.yaml": "inferenceExtension:\n  pluginsConfigFile: p.yaml\n  pluginsCustomConfig:\n"
    "    p.yaml: |\n"
    "      kind: EndpointPickerConfig\n" + "".join(f"      # {number}\n" for number in range(40)),
    "guides/a/ms-a/values.yaml": "modelArtifacts: {name: org/model, size: 80Gi}\n"
    + "".join(f"{role}:\n{STAGE}" for role in ("decode", "prefill")),
}
WORKERS = """\
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: wide-%s, labels: {llm-d.ai/role: %s}}
spec:
  replicas: 1
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec:
        containers:
        - name: vllm
          image: ghcr.io/llm-d/llm-d-cuda:v0.5.0
          command: [/bin/bash, -c]
          args:
          - |-
            find /dev/shm -type f -delete
            START_RANK=$(( ${LWS_WORKER_INDEX:-0} * DP_SIZE_LOCAL ))
            exec vllm serve org/model --port 8200 --tensor-parallel-size $TP_SIZE --enable-expert-parallel
          env: [{name: TP_SIZE, value: "1"}, {name: DP_SIZE_LOCAL, value: "8"}]
"""
KUSTOMIZE = {
    "guides/b/base/kustomization.yaml": "resources: [decode.yaml, prefill.yaml]\n",
    "guides/b/base/decode.yaml": WORKERS % ("decode", "decode"),
    "guides/b/base/prefill.yaml": WORKERS % ("prefill", "prefill"),
    "guides/b/top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {kind: LeaderWorkerSet}\n  patch: |\n"
    "    - {op: replace, path: /spec/leaderWorkerTemplate/size, value: 4}\n",
}
HEAD = """\
# Converting guides

One guide into both forms of scenario and an experiment, in a process that is running already: median of {runs} runs,
by the clock and of the processor (without that of kustomize itself), in milliseconds. Written by
`make bench-guides`; other work on the machine is in what the clock says. The aim is 150 ms.

| guide | by the clock, ms | slowest, ms | processor, ms |
|---|---:|---:|---:|
"""


def measured(path: Path, use_tool: bool) -> tuple[float, float, float]:
    """Milliseconds: median and slowest by the clock, median of the processor."""
    walls, processor = [], []
    for _ in range(RUNS):
        began, used = time.perf_counter(), time.process_time()
        convert(str(path), form="both", with_experiment=True, use_tool=use_tool)
        walls.append((time.perf_counter() - began) * 1e3)
        processor.append((time.process_time() - used) * 1e3)
    return statistics.median(walls), max(walls), statistics.median(processor)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name, text in {**HELM, **KUSTOMIZE}.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text)
        rows = {
            "Helm values below a helmfile, prefill and decode": measured(top / "guides/a", use_tool=False),
            "kustomization of two LeaderWorkerSets, resolved by us": measured(top / "guides/b/top", use_tool=False),
        }
        if tool.command() is not None:
            rows["the same, with kustomize itself"] = measured(top / "guides/b/top", use_tool=True)
    lines = [f"| {name} | {' | '.join(f'{value:.0f}' for value in found)} |" for name, found in rows.items()]
    text = HEAD.format(runs=RUNS) + "\n".join(lines) + "\n"
    print(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
