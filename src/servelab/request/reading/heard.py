"""What readers made of a sentence: values of fields, each with its place, and what must be asked or told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from servelab.request.reading.sentence import Sentence
from servelab.request.said import Option, Question


@dataclass(frozen=True)
class Mention:
    """One value of one field, and where it was said. Fields of parts go by path, as ``profile.prompt.mean``."""

    name: str
    value: Any
    start: int
    end: int


@dataclass
class Heard:
    """All that was found so far in one sentence."""

    sentence: Sentence
    mentions: list[Mention] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Fields and flags to take back."""

    def say(self, name: str, value: Any, start: int, end: int) -> None:
        """A field's value was said here; the words are taken."""
        self.mentions.append(Mention(name, value, start, end))
        self.sentence.take(start, end)

    def ask(self, parameter: str, text: str, options: Sequence[Option] = ()) -> None:
        """Something has to be asked: a choice where there are options."""
        kind: Literal["missing", "ambiguous"] = "ambiguous" if options else "missing"
        question = Question(parameter=parameter, kind=kind, text=text, options=tuple(options))
        if question not in self.questions:
            self.questions.append(question)

    def warn(self, text: str) -> None:
        """Something has to be told, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def said(self, name: str) -> list[Mention]:
        """What was said of a field so far."""
        return [mention for mention in self.mentions if mention.name == name]
