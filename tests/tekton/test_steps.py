"""Our Tasks' scripts, run for real: files, archives, HTTP; with debug they say what they would do elsewhere."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from servelab.perf.two_point import ReportError, two_points
from servelab.tekton import shipped
from servelab.tekton.scripts.scenario import profile
from servelab.tekton.scripts.upload import signed
from tests.tekton.steps import Run

RECORDED = Path(__file__).parents[1] / "harnesses/recorded"
WORKLOAD = {
    "modelLabel": "exp-t0",
    "results_dir": "exp-t0",
    "max_requests": "50",
    "rate": "12",
    "rate_type": "sweep",
    "random_seed": "42",
    "prefix_tokens": "0",
    "prompt_tokens": "70",
    "prompt_tokens_stdev": "35",
    "prompt_tokens_min": "2",
    "prompt_tokens_max": "200",
    "output_tokens": "215",
    "output_tokens_stdev": "",
    "output_tokens_min": "",
    "output_tokens_max": "",
}


def test_two_points_of_the_documented_example():
    alpha, beta = two_points(7.0, 8.7, 64)
    assert math.isclose(alpha, 6.973, abs_tol=5e-4)
    assert math.isclose(beta, 0.027, abs_tol=5e-4)
    assert math.isclose(alpha + beta, 7.0)
    assert math.isclose(alpha + 64 * beta, 8.7)


@pytest.mark.parametrize(("alone", "loaded", "batch"), [(7, 8, 1), (7, 6, 64), (1, 100, 2)])
def test_points_that_define_no_line_are_refused(alone, loaded, batch):
    with pytest.raises(ReportError):
        two_points(alone, loaded, batch)


def estimation(tmp_path, **params):
    run = Run(tmp_path, "calculate-parameters", {"batch-size": "16", **params})
    for kind in ("synchronous", "throughput"):
        shutil.copy(RECORDED / f"guidellm-0.3-{kind}.json", run.workspace("results") / f"{kind}.json")
    return run


def test_parameters_of_recorded_reports(tmp_path):
    run = estimation(tmp_path)
    said = run.all_steps()
    file = run.workspace("results") / "parameters.json"
    found = json.loads(file.read_text())
    assert list(found) == ["itl_synchronous", "itl_throughput", "batch_size", "alpha", "beta"]
    assert found["batch_size"] == 16.0
    assert math.isclose(found["beta"], (6.872234375853287 - 6.387365491766679) / 15)
    assert math.isclose(found["alpha"], 6.387365491766679 - found["beta"])
    assert float(run.result("alpha")) == found["alpha"]
    assert float(run.result("beta")) == found["beta"]
    assert run.result("parameters-file") == str(file)
    for word in ("ITL_synchronous", "ITL_throughput", "alpha", "beta"):
        assert word in said


def test_servelab_itself_may_calculate(tmp_path):
    plain = estimation(tmp_path / "plain")
    plain.all_steps()
    program = Path(sys.executable).parent
    run = estimation(tmp_path / "own", method="servelab")
    run.all_steps(PATH=f"{program}:{os.environ['PATH']}")
    for name in ("alpha", "beta"):
        assert math.isclose(float(run.result(name)), float(plain.result(name)), rel_tol=1e-6)
    assert json.loads((run.workspace("results") / "parameters.json").read_text())["fits"]


def test_an_image_without_servelab_is_told(tmp_path):
    run = estimation(tmp_path, method="servelab")
    done = run.step("calculate", PATH="/nowhere")
    assert done.returncode == 1
    assert "cannot start servelab: No such file or directory; the image has to have it" in done.stderr


def test_a_report_may_lie_elsewhere(tmp_path):
    run = estimation(tmp_path)
    report = run.workspace("results") / "some" / "report.json"
    report.parent.mkdir()
    (run.workspace("results") / "throughput.json").rename(report)
    run = Run(tmp_path, "calculate-parameters", {"batch-size": "16", "throughput-report": str(report)})
    run.all_steps()
    assert float(run.result("beta")) > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "synchronous.json").unlink(), "cannot read"),
        (lambda folder: (folder / "synchronous.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "synchronous.json").write_text("[]"), "is not a report of guidellm"),
        (lambda folder: (folder / "synchronous.json").write_text('{"benchmarks": []}'), "is not a report of guidellm"),
        (lambda folder: shutil.copy(folder / "throughput.json", folder / "synchronous.json"), None),
        (
            lambda folder: (folder / "throughput.json").write_text(
                '{"benchmarks": [{"metrics": {"inter_token_latency_ms": {"successful": {"mean": 0, "count": 0}}}}]}'
            ),
            "no request succeeded",
        ),
    ],
)
def test_reports_that_cannot_be_used(tmp_path, change, said):
    run = estimation(tmp_path)
    change(run.workspace("results"))
    done = run.step("calculate")
    assert (done.returncode == 0) == (said is None)
    assert (said or "") in done.stderr
    assert "Traceback" not in done.stderr


def test_the_experiment_is_noted(tmp_path):
    params = {
        "model": "org/m: x",
        "tp": "2",
        "max_model_len": "4096",
        "max_num_batched_tokens": "",
        "max_num_seqs": "8",
    }
    run = Run(
        tmp_path, "create-exp-config", {**params, "app": "chat", "results_dir": "e-1", "extra": '{"eager": true}'}
    )
    run.all_steps()
    folder = run.workspace("data") / "e-1"
    assert yaml.safe_load((folder / "exp-config.yaml").read_text()) == {
        "model": "org/m: x",
        "tensor_parallelism": 2,
        "max_model_len": 4096,
        "max_num_batched_tokens": "",
        "max_num_seqs": 8,
        "app": "chat",
        "eager": True,
    }
    logging = json.loads((folder / "vllm_logging.json").read_text())
    assert logging["handlers"]["file"]["filename"] == "/mnt/exp/e-1/vllm.log"


def test_a_results_directory_stays_in_the_workspace(tmp_path):
    params = dict.fromkeys(("model", "tp", "max_model_len", "max_num_batched_tokens", "max_num_seqs", "app"), "1")
    done = Run(tmp_path, "create-exp-config", {**params, "results_dir": "../outside"}).step("write")
    assert done.returncode == 1
    assert not (tmp_path / "workspaces/outside").exists()


def test_the_nop_harness_says_that_it_measured_nothing(tmp_path):
    run = Run(tmp_path, "run-workload-nop", WORKLOAD)
    run.all_steps()
    text = (run.workspace("data") / "exp-t0/nop.txt").read_text()
    assert "nothing was measured" in text
    assert "requests: 50, rate: 12 (sweep)" in text


def test_the_profile_of_guidellm(tmp_path):
    run = Run(tmp_path, "run-workload-guidellm", {**WORKLOAD, "url": "http://10.0.0.7:8000", "warmup": "2"})
    (run.workspace("data") / "exp-t0").mkdir()
    for name in ("find-model", "create-profile"):
        done = run.step(name)
        assert done.returncode == 0, done.stderr
    spec = json.loads((run.workspace("data") / "exp-t0/profile.json").read_text())["spec"]
    assert spec["backend"]["target"] == "http://10.0.0.7:8000"
    assert spec["profile"] == {"kind": "sweep", "sweep_size": 12, "warmup": {"value": 2, "mode": "requests"}}
    assert spec["constraints"] == [{"kind": "max_requests", "count": 52}]
    assert spec["backend"]["request_format"] == "/v1/completions"
    (data,) = spec["data"]
    assert data["prompt_tokens"] == 70
    assert (data["prompt_tokens_stdev"], data["prompt_tokens_min"], data["prompt_tokens_max"]) == (35, 2, 200)
    assert "output_tokens_stdev" not in data
    done = run.step("run-workload")
    assert done.returncode == 1
    assert "run the Task install-guidellm first" in done.stderr


@pytest.mark.parametrize("task", ["run-workload-guidellm", "guidellm-load-generator"])
@pytest.mark.parametrize(("api", "path"), [("chat", "/v1/chat/completions"), ("completions", "/v1/completions")])
def test_guidellm_posts_to_the_api_that_is_asked_for(tmp_path, task, api, path):
    given = {**WORKLOAD, "results_dir": ".", "url": "http://h:1", "rate-type": "synchronous"}
    run = Run(tmp_path, task, {**given, "api": api})
    (tmp_path / "shared/url").write_text("http://h:1")
    done = run.step("create-profile")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"]["backend"]["request_format"] == path
    wrong = Run(tmp_path, task, {**given, "api": "responses"}).step("create-profile")
    assert (wrong.returncode, "there are completions and chat" in wrong.stderr) == (1, True)


def test_kinds_of_load():
    assert profile("concurrent", [1, 8]) == {"kind": "concurrent", "streams": [1, 8]}
    assert profile("poisson", [0.5]) == {"kind": "poisson", "rate": [0.5]}
    assert profile("throughput", []) == {"kind": "throughput"}
    for wrong in ("steady", "sweep"):
        with pytest.raises(ValueError, match="rate"):
            profile(wrong, [])


def test_the_profile_of_inference_perf(tmp_path):
    template = json.dumps({"load": {"stages": [{"rate": 1, "duration": 5}]}, "api": {"type": "completion"}})
    params = {"model": "m", "modelLabel": "l", "results_dir": "r", "profileTemplate": template}
    params |= {"url": "http://h:1", "treatment": "data.output_len=7\n\nload.stages[0].rate=3\n"}
    run = Run(tmp_path, "run-workload-inference-perf", params)
    (run.workspace("data") / "r").mkdir()
    for name in ("find-model", "create-profile"):
        done = run.step(name)
        assert done.returncode == 0, done.stderr
    found = json.loads((run.workspace("data") / "r/profile.json").read_text())
    assert found["server"] == {"type": "vllm", "model_name": "m", "base_url": "http://h:1"}
    assert found["load"] == {"stages": [{"rate": 3, "duration": 5}]}
    assert found["data"] == {"output_len": 7}


def test_inference_perf_warms_up_apart_from_what_counts(tmp_path):
    """With a stand-in for inference-perf that says which configuration it was given."""
    data = {"type": "shared_prefix", "shared_prefix": {"seed": 7}}
    template = {"load": {"stages": [{"rate": 1, "duration": 5}], "base_seed": 7}, "data": data}
    warmup = {"num_requests": 8, "concurrency_level": 8}
    params = {"model": "m", "modelLabel": "l", "results_dir": "r", "profileTemplate": json.dumps(template)}
    said = {}
    for name, stage in (("warm", json.dumps(warmup)), ("cold", "")):
        run = Run(tmp_path / name, "run-workload-inference-perf", {**params, "url": "http://h:1", "warmup": stage})
        (run.workspace("data") / "r").mkdir()
        harness = run.workspace("data") / "harness/inference-perf-0.7.0"
        (harness / "bin").mkdir(parents=True)
        (harness / ".complete").touch()
        (harness / "bin/inference-perf").write_text("import sys\nprint(open(sys.argv[2]).read())\n")
        said[name] = run.all_steps().partition("warming up\n")
    first, end = json.JSONDecoder().raw_decode(said["warm"][2])
    second = json.loads(said["warm"][2][end:])
    assert first["load"] == {"stages": [warmup], "base_seed": 8}
    assert first["data"]["shared_prefix"]["seed"] == 8
    assert first["server"] == second["server"]
    assert second["load"] == template["load"]
    kept = [one["storage"]["local_storage"]["path"] for one in (first, second)]
    assert kept == [f"{tmp_path}/warm/shared/warmup", f"{tmp_path}/warm/workspaces/data/r/./results"]
    assert said["cold"][1] == ""


def test_a_model_is_deployed_with_its_overrides(tmp_path):
    values = {"decode": {"containers": [{"name": "vllm", "args": ["--max-model-len=1"]}]}, "note": 'it\'s "x" $HOME'}
    params = {"config": json.dumps(values), "model": "org/m", "modelLabel": "e-t0", "namespace": "ns", "debug": "true"}
    rules = ['decode.containers[name="vllm"].args=--max-model-len=9', "decode.x=a b"]
    run = Run(tmp_path, "deploy-model", {**params, "overrides": rules, "configOverrides": "a: {b: 1}"})
    said = run.all_steps()
    made = json.loads((tmp_path / "shared/values.json").read_text())
    assert made["decode"] == {"containers": [{"name": "vllm", "args": ["--max-model-len=9"]}], "x": "a b"}
    assert made["note"] == values["note"]
    assert made["fullnameOverride"] == "e-t0"
    assert made["modelArtifacts"] == {
        "name": "org/m",
        "uri": "pvc://model-cache-pvc/models/org/m",
        "labels": {"llm-d.ai/model": "e-t0"},
    }
    assert "helm upgrade --install e-t0-model llm-d-modelservice --namespace ns" in said
    assert (tmp_path / "shared/extra-values.yaml").read_text() == "a: {b: 1}\n"


def test_a_release_name_that_helm_refuses(tmp_path):
    params = {"config": "{}", "model": "m", "modelLabel": "x" * 50, "namespace": "ns", "debug": "true"}
    run = Run(tmp_path, "deploy-model", params)
    assert run.step("apply-overrides").returncode == 0
    done = run.step("install-model")
    assert done.returncode == 1
    assert "has 56 characters, Helm allows 53" in done.stderr


def test_the_collector_is_a_deployment_with_a_service(tmp_path):
    params = {"results_dir": "e-t0", "modelLabel": "e-t0", "debug": "true"}
    Run(tmp_path, "create-otel-collector", params).all_steps()
    objects = list(yaml.safe_load_all((tmp_path / "shared/collector.yaml").read_text()))
    assert [item["kind"] for item in objects] == ["ConfigMap", "Deployment", "Service"]
    assert {item["metadata"]["name"] for item in objects} == {"otel-e-t0"}
    assert yaml.safe_load(objects[0]["data"]["config.yaml"])["exporters"]["file"]["path"] == "/data/e-t0/traces.json"
    pod = objects[1]["spec"]["template"]
    assert pod["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"] == "data-pvc"
    assert objects[2]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert [port["port"] for port in objects[2]["spec"]["ports"]] == [4317, 4318]


@pytest.mark.parametrize(
    ("task", "params", "said"),
    [
        ("download-model", {"model": "org/m"}, "downloading org/m at main"),
        ("install-guidellm", {}, "installing guidellm 0.8.1"),
        ("install-inference-perf", {}, "installing inference-perf 0.7.0"),
        ("delete-model", {"namespace": "ns", "modelLabel": "l"}, "helm uninstall l-model --namespace ns"),
        ("delete-otel-collector", {"namespace": "ns", "modelLabel": "l"}, "servelab/collector=l in ns"),
    ],
)
def test_with_debug_a_task_says_what_it_would_do(tmp_path, task, params, said):
    assert said in Run(tmp_path, task, {**params, "debug": "true"}).all_steps()


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path):
    run = Run(tmp_path, "download-model", {"model": "org/m"})
    done = run.workspace("model-cache") / "models/org/m/.complete"
    done.parent.mkdir(parents=True)
    done.touch()
    assert "org/m is in the cache" in run.all_steps()
    another = Run(tmp_path, "download-model", {"model": "org/m", "revision": "v2", "debug": "true"}).all_steps()
    assert "in the cache is org/m at main; it is replaced" in another
    assert "downloading org/m at v2" in another
    done.write_text("v2")
    assert (
        "downloading org/m at main" in Run(tmp_path, "download-model", {"model": "org/m", "debug": "true"}).all_steps()
    )
    assert "is in the cache" in Run(tmp_path, "download-model", {"model": "org/m", "revision": "v2"}).all_steps()
    assert Run(tmp_path, "download-model", {"model": "../m"}).step("download").returncode == 1


class Bucket(BaseHTTPRequestHandler):
    """Keeps what is put."""

    def do_PUT(self):
        self.server.kept = (self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket():
    server = HTTPServer(("127.0.0.1", 0), Bucket)
    server.kept, server.answer = None, 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def upload(tmp_path, bucket, paths="e-t0\n\ne t1/x\n", **params):
    target = {"bucket": "results", "endpoint": f"http://127.0.0.1:{bucket.server_port}/"}
    run = Run(tmp_path, "upload-s3", {"archive": "e/a-1.tar.gz", "paths": paths, "target": target, **params})
    for name in ("e-t0/a.txt", "e t1/x/b.txt", "other/c.txt"):
        file = run.workspace("data") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (run.workspace("target-credentials") / name).write_text(f"{name.lower()}\n")
    return run


def test_paths_are_packed_and_uploaded(tmp_path, bucket):
    said = upload(tmp_path, bucket).all_steps()
    path, headers, body = bucket.kept
    assert path == "/results/e/a-1.tar.gz"
    assert headers["x-amz-content-sha256".title()] == hashlib.sha256(body).hexdigest()
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=aws_access_key_id/")
    assert "aws_secret_access_key" not in str(headers) + said
    (tmp_path / "got.tar.gz").write_bytes(body)
    with tarfile.open(tmp_path / "got.tar.gz") as archive:
        assert {name for name in archive.getnames() if name.endswith(".txt")} == {"e-t0/a.txt", "e t1/x/b.txt"}


def test_a_refused_upload_fails(tmp_path, bucket):
    bucket.answer = 403
    run = upload(tmp_path, bucket)
    assert run.step("pack").returncode == 0
    done = run.step("upload")
    assert done.returncode == 1
    assert "answered 403" in done.stderr
    assert "aws_secret_access_key" not in done.stderr


@pytest.mark.parametrize("paths", ["", "../x", "/etc/passwd", "a/../../b"])
def test_paths_stay_in_the_workspace(tmp_path, bucket, paths):
    assert upload(tmp_path, bucket, paths).step("pack").returncode == 1


def test_with_debug_nothing_is_uploaded(tmp_path, bucket):
    assert "would upload" in upload(tmp_path, bucket, debug="true").all_steps()
    assert bucket.kept is None


def test_the_signature_is_that_of_botocore():
    # botocore 1.42's S3SigV4Auth signs the same request so.
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    url, digest = "https://s3.example.com/bucket/some%20dir/x-1.tar.gz", hashlib.sha256(b"archive").hexdigest()
    headers = signed(url, digest, "AKIDEXAMPLE", "secretsecret", "eu-west-1", now)
    assert headers["Authorization"].endswith("5d46edf4663eb0c8ce028e62172ac91d0030d3ee1c0830d6c7f924ca509f357d")


def scripts():
    for item in (*shipped.definitions(), *shipped.objects("load-generator"), *shipped.objects("estimation")):
        spec = item["spec"] if item["kind"] in {"Task", "StepAction"} else {}
        for step in spec.get("steps", [spec]):
            if "script" in step:
                yield f"{item['metadata']['name']}-{step.get('name', 'action')}", step["script"]


@pytest.mark.parametrize(("name", "script"), list(scripts()), ids=[name for name, _ in scripts()])
def test_scripts_are_clean(name, script, tmp_path):
    interpreter = script.splitlines()[0]
    assert interpreter in {"#!/bin/sh", "#!/usr/bin/env python3"}
    if interpreter == "#!/usr/bin/env python3":
        compile(script, name, "exec")
        assert "$(" not in script, "Tekton substitutes $(...)"
        return
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def load_generator(tmp_path, **params):
    """The Task, with a stand-in for guidellm that says its arguments and ends as it is told."""
    package = tmp_path / "guidellm"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import json, os, sys\n"
        "print('stand-in for guidellm', *sys.argv[1:])\n"
        "if os.environ.get('FAIL'): sys.exit(3)\n"
        "spec = json.load(open(sys.argv[3]))['spec']\n"
        "open(spec['outputs'][0]['path'], 'w').write('{}')\n"
    )
    given = {"target-url": "http://s:8000", "model": "m", "output-basename": "load", "max-seconds": "30", **params}
    return Run(tmp_path, "guidellm-load-generator", given)


def test_the_load_generator_leaves_report_and_log(tmp_path):
    run = load_generator(tmp_path, **{"rate-type": "throughput", "max-concurrency": "16"})
    assert run.step("create-profile").returncode == 0
    spec = json.loads((tmp_path / "shared/profile.json").read_text())["spec"]
    backend = {"kind": "openai_http", "target": "http://s:8000", "request_format": "/v1/completions", "model": "m"}
    assert spec["backend"] == backend
    assert spec["profile"] == {"kind": "throughput", "max_concurrency": 16}
    assert spec["constraints"] == [{"kind": "max_duration", "seconds": 30.0}]
    assert spec["data"] == [{"kind": "synthetic_text", "prompt_tokens": 128, "output_tokens": 128}]
    done = run.step("run-benchmark", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report, log = (run.workspace("results") / name for name in ("load.json", "load-log.txt"))
    assert (run.result("benchmark-report"), run.result("log-file")) == (str(report), str(log))
    assert report.exists()
    assert "stand-in for guidellm run --config" in log.read_text()


def test_a_load_that_fails_fails_the_task_and_keeps_its_log(tmp_path):
    run = load_generator(tmp_path)
    assert run.step("create-profile").returncode == 0
    done = run.step("run-benchmark", PYTHONPATH=str(tmp_path), FAIL="1")
    assert done.returncode == 3
    assert "stand-in for guidellm" in (run.workspace("results") / "load-log.txt").read_text()
    assert not (tmp_path / "results" / "benchmark-report").exists()
