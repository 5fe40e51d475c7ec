"""Convert an llm-d guide: sent as text or files, or fetched from an https address; never a path of this machine."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from servelab.guides.convert import Conversion, Format, convert
from servelab.guides.fetch import MOST_FILES, Fetcher
from servelab.guides.parse import GuideError
from servelab.guides.place import Found, remote_place
from servelab.guides.upload import unpacked, uploaded
from servelab.guides.words import Asked, read_words
from servelab.web.api.problem import PROBLEMS

router = APIRouter(prefix="/api/v1", tags=["guides"], responses=PROBLEMS)
EXAMPLE: JsonDict = {
    "address": "https://github.com/llm-d/llm-d/tree/main/guides/pd-disaggregation",
    "harness": "inference-perf",
    "profile": "shared_prefix_synthetic",
    "varying": ["decode_replicas from 1 to 4"],
}
Short = Annotated[str, Field(max_length=200)]


class SentFile(BaseModel):
    """A file of the guide; its path is within what is sent."""

    path: str = Field(max_length=400, examples=["guides/mine/ms-mine/values.yaml"])
    text: str = Field(max_length=1 << 20)


class GuideRequest(BaseModel):
    """A guide in one of three ways, and what is wanted of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    address: str = Field(default="", max_length=2000, description="https, of a directory on GitHub or a YAML file")
    files: list[SentFile] = Field(default=[], max_length=MOST_FILES)
    archive: str = Field(default="", description="a zip of the guide, base64")
    guide: str = Field(default="", max_length=400, description="which path of what is sent; default: the only guide")
    harness: Short = ""
    profile: Short = ""
    varying: list[Short] = Field(
        default=[], max_length=20, description="as decode_replicas from 1 to 4 step 1, or max_model_len in 8192,32768"
    )
    variant: Short = ""
    name: Short = Field(default="", description="of the files; default: the guide's")
    format: Format = "both"
    explicit: bool = Field(default=False, description="write values that are the default too, and mark them")
    experiment: bool = Field(default=False, description="an experiment even where nothing varies")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((bool(self.address), bool(self.files), bool(self.archive))) != 1:
            raise ValueError("give exactly one of address, files and archive")
        return self

    def place(self) -> Found:
        """Where the guide is; asks nothing yet.

        Raises:
            GuideError: it is nowhere, or several guides were sent.
        """
        if self.address:
            return remote_place(self.address, Fetcher())
        if self.archive:
            sent = unpacked(_decoded(self.archive), "the archive")
        else:
            sent = uploaded((one.path, one.text.encode()) for one in self.files)
        guides = [self.guide] if self.guide else sent.guides()
        if len(guides) > 1:
            raise GuideError(f"{len(guides)} guides were sent", f"Say which: {', '.join(guides)}.")
        return sent, guides[0]

    def words(self) -> Asked:
        """Harness, profile and what varies, as the command line reads them.

        Raises:
            GuideError: they are not of that form.
        """
        words = ["with", self.harness, *([self.profile] if self.profile else [])] if self.harness else []
        for one in self.varying:
            words += ["varying", *one.split()]
        return read_words(words)

    def converted(self) -> Conversion:
        """What the guide becomes.

        Raises:
            GuideError: it cannot be read, or what is asked for is none.
        """
        place, path = self.place()
        single = self.files and "/" not in path
        return convert(
            (place, path),
            self.words(),
            variant=self.variant,
            name=self.name or ("guide" if single and path in ("", "values.yaml") else ""),
            form=self.format,
            explicit=self.explicit,
            with_experiment=self.experiment,
        )


class Lines(BaseModel):
    """Lines ``first`` to ``last`` of a file of the guide."""

    file: str
    first: int
    last: int


class MadeLine(BaseModel):
    """A line, and where it is from; nowhere where the guide does not say it."""

    text: str
    sources: tuple[Lines, ...] = ()


class MadeFile(BaseModel):
    """A file, with its path below the directory of llm-d-benchmark."""

    path: str
    kind: Literal["scenario", "experiment"]
    form: Literal["legacy", "declarative"]
    lines: tuple[MadeLine, ...]


class SourceFile(BaseModel):
    """A file of the guide."""

    path: str
    text: str


class Converted(BaseModel):
    """What the guide became."""

    name: str
    model: str = Field(description="empty where the guide names none: the scenario does not run then")
    variant: str
    variants: tuple[str, ...]
    treatments: int = Field(description="of the experiment")
    warnings: tuple[str, ...]
    files: tuple[MadeFile, ...]
    sources: tuple[SourceFile, ...]


@router.post("/convert")
def convert_guide(request: GuideRequest) -> Converted:
    """A guide becomes scenarios and experiments of llm-d-benchmark, each line with where it is from."""
    made = request.converted()
    return Converted(
        name=made.config.name,
        model=made.config.model_id,
        variant=made.variant,
        variants=made.variants,
        treatments=made.treatments,
        warnings=made.warnings,
        files=tuple(
            MadeFile(
                path=file.path,
                kind="scenario" if file.kind == "Scenario" else "experiment",
                form=file.form,
                lines=tuple(
                    MadeLine(
                        text=line.text,
                        sources=tuple(Lines(file=one.file, first=one.first, last=one.last) for one in line.spans),
                    )
                    for line in file.lines
                ),
            )
            for file in made.files
        ),
        sources=tuple(SourceFile(path=path, text=text) for path, text in made.sources.items()),
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise GuideError("the archive is no base64", "Send a zip, encoded as base64.") from None
