"""Values files that are none."""

from __future__ import annotations

import pytest

from servelab.request.values import read_values
from servelab.spec.errors import DocumentError


def test_a_values_file_that_is_none_is_called_one() -> None:
    with pytest.raises(DocumentError) as error:
        read_values("- a\n", "mine.yaml")
    assert "a values file is a mapping of fields, this is a list" in error.value.message
    assert "study" not in f"{error.value.message} {error.value.remedy}"
