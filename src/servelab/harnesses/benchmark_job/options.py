"""The options of the BenchmarkJob harness."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from servelab.kube.reader import IMAGE
from servelab.spec.base import Seconds, Spec

_CLAIM = re.compile(r"pvc://(?P<claim>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)/(?P<path>[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)")
_BUCKET = re.compile(r"oci://n/[^/\s]+/b/[^/\s]+/o/\S+")

Task = Literal["text-to-text", "image-to-text", "text-to-embeddings", "image-to-embeddings"]


class BenchmarkJobOptions(Spec):
    """Options of the BenchmarkJob harness; none is needed."""

    context: str = Field(default="", description="a kubeconfig's context; default: the current one")
    output: str = Field(
        default="pvc://servelab-results/benchmarks",
        description="pvc://CLAIM/PATH (the claim is created where it is missing), or oci://n/NAMESPACE/b/BUCKET/o/PREFIX",
    )
    size: str = Field(default="1Gi", description="of a claim that is created")
    storage_class: str = Field(default="", description="of a claim that is created; default: the cluster's")
    mirror: Path | None = Field(
        default=None, description="where the bucket of oci:// is mounted here: its results are read from there"
    )
    task: Task = "text-to-text"
    image: str = Field(default="", description="of genai-bench; default: what OME is set up with")
    pod: dict[str, Any] = Field(default_factory=dict, description="more of spec.podOverride: tolerations, env, ...")
    hugging_face_secret: str = Field(default="", description="Secret with HUGGINGFACE_API_KEY, for a gated tokenizer")
    reader_image: str = Field(default=IMAGE, description="of the pod that reads the claim")
    start: Annotated[Seconds, Field(gt=0)] = Field(default=900.0, description="until the benchmark runs")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.output.startswith("oci://"):
            if not _BUCKET.fullmatch(self.output):
                raise ValueError(f"{self.output!r} is not oci://n/NAMESPACE/b/BUCKET/o/PREFIX")
            if self.mirror is None:
                raise ValueError(
                    "results in oci:// are read where the bucket is mounted here: give mirror, or use pvc://"
                )
        elif not _CLAIM.fullmatch(self.output):
            raise ValueError(
                f"{self.output!r} is neither pvc://CLAIM/PATH nor oci://n/NAMESPACE/b/BUCKET/o/PREFIX; "
                "OME stores results nowhere else"
            )
        return self

    @property
    def claim(self) -> tuple[str, str]:
        """The claim and the path in it; empty for a bucket."""
        found = _CLAIM.fullmatch(self.output)
        return (found["claim"], found["path"]) if found else ("", "")
