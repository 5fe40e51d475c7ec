"""What Tekton accepts is accepted: refusing something valid is as bad as the reverse."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from servelab.tekton.check.check import check_objects

VALID = yaml.safe_load((Path(__file__).parent / "valid.yaml").read_text())


@pytest.mark.parametrize("case", VALID.values(), ids=VALID)
def test_valid(case):
    document = {"apiVersion": "tekton.dev/v1", "metadata": {"name": "x"}, **case}
    assert "\n".join(map(str, check_objects([document]))) == ""
