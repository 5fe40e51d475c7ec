"""Programs of harnesses, run for real."""

from __future__ import annotations

import json
import sys

from servelab.harnesses.external.running import run

SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_no_proxy_and_no_secret_comes_between_a_harness_and_the_engine(tmp_path, monkeypatch):
    given = {
        "HTTP_PROXY": "http://10.0.0.1:1",
        "https_proxy": "http://10.0.0.1:1",
        "HF_TOKEN": "secret",
        "MINE": "kept",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "harness.log"
    assert await run((sys.executable, "-c", SHOW), {}, log, (), lambda said: None) == 0
    seen = json.loads(log.read_text())
    assert seen["MINE"] == "kept"
    assert not {"HTTP_PROXY", "https_proxy", "HF_TOKEN"} & set(seen)
