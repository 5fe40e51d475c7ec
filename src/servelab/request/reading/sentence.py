"""What a person typed, in one script of punctuation and digits, and which parts of it have been read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

LONGEST = 10_000  # characters that are read
LONGEST_WORD = 400  # characters without a space; whatever is longer is no name and no number

TAKEN = "\0"
"""Stands in ``Sentence.free`` for each character that a reader took; no pattern matches it."""

OPEN, CLOSE = "«", "»"  # quotes whose direction is known
_NAMED = {
    **dict.fromkeys("“„‟「『〝《〈", OPEN),
    **dict.fromkeys("”」』〞》〉", CLOSE),
    **dict.fromkeys("‘’‚‛´ʼ′", "'"),
    "″": '"',
    **dict.fromkeys("【〔", " ["),
    **dict.fromkeys("】〕", "] "),
    **dict.fromkeys("，、،፣・·•", ", "),
    **dict.fromkeys("；؛", "; "),
    **dict.fromkeys("。।｡", ". "),
    **dict.fromkeys("：∶", ": "),
    **dict.fromkeys("‐‑−﹣־", "-"),
    **dict.fromkeys("¿¡", " "),
    "؟": "? ",
    "٪": "%",
    "٬": ",",
    "٫": ".",
    **dict.fromkeys("〜～", "-"),
    **dict.fromkeys("×✕", "x"),
    "∈": "in",
    **dict.fromkeys("≤≦", "<="),
    **dict.fromkeys("≥≧", ">="),
    "…": ". ",
    "±": "±",
}
_FLAG_DASHES = re.compile(r"(?<![\w-])[-–—―]{2,3}(?=[A-Za-z])|(?<![\w-])[–—―](?=[A-Za-z])")  # editors join "--"
_RANGE_DASH = re.compile(r"(?<=[A-Za-z\d%])[–―](?=[A-Za-z\d])|(?<=\d)(?: ?[–—―] ?)(?=\d)")
_RISING = re.compile(r"(?<![\w.,-])(\d{1,6}) ?[→⇒➜➔] ?(?=(\d{1,6})\b)")  # 1 → 64: a range
_ARROW = re.compile(r"[→⇒➜➔]")
_PAUSE_DASH = re.compile(r" ?[–—―]+ ?")
_SPACED_OPENING, _SPACED_CLOSING = re.compile(r"[«‹] (?=\S)"), re.compile(r"(?<=\S) [»›](?!\w)")
_GLUED_OPENING, _GLUED_CLOSING = re.compile(r"(?<=\w)[«‹](?=\w)"), re.compile(r"(?<=\w)[»›](?=\w)")
_QUOTES = re.compile(r"[«‹»›]")
_KEY = re.compile(r"[\"']([A-Za-z-][\w .-]{0,40})[\"'] ?:")
_PARAMETER = re.compile(
    r"\{? ?\bname: ?['\"]?([A-Za-z][\w-]{1,40})['\"]?(?:, ?| ?\n)value: ?([^\s,}]+)(?: ?\})?"
)  # of a PipelineRun
_ROW = re.compile(r"^\|? ?([A-Za-z][\w -]{1,40}) \| ([^|\n]{1,200}?) ?\|?$", re.MULTILINE)
_BULLET = re.compile(r"(?<!:)\n[-*] (?=[^:\n]{1,80}(?:\n|$))")
_INDENTED = re.compile(r"(?<=[A-Za-z]):\n(?:[-*] )?(?=[^:\n-]{1,80}(?:\n|$))")
_CAMEL = re.compile(r"(?<![\w./-])[a-z]+(?:[A-Z][a-z]+)+(?= ?[:=])")  # a key of JSON or YAML
_ARGUMENT = re.compile(r"[\"'](--[\w-]{1,60})[\"'], ?[\"']([^\"'\s,-][^\"'\s,]{0,200})[\"']")  # of a container
_NESTED = re.compile(r"\b(model|namespace): ?\n ?name:")
_EMPHASIS = re.compile(r"\*\*|__(?=[A-Za-z])|(?<=[A-Za-z:])__")
_TOO_LONG = re.compile(rf"\S{{{LONGEST_WORD},}}")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[\n ]*")


class Text:
    """A string whose characters know where in the original they stand, so that pieces of it may be rewritten."""

    def __init__(self, chars: str, starts: list[int], ends: list[int]) -> None:
        self.chars, self.starts, self.ends = chars, starts, ends

    def rewritten(self, pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str | None]) -> Text:
        """Every match replaced; a function may leave one as it is by returning None."""
        pieces = ((match.span(), new if isinstance(new, str) else new(match)) for match in pattern.finditer(self.chars))
        return self._replaced((*span, piece) for span, piece in pieces if piece is not None)

    def paired(self, pattern: re.Pattern[str]) -> Text:
        """Every match written as ``key: value`` on a line, from its two groups, which keep their places."""
        return self._replaced(
            gap
            for match in pattern.finditer(self.chars)
            for gap in (
                (match.start(), match.start(1), ""),
                (match.end(1), match.start(2), ": "),
                (match.end(2), match.end(), "\n" if match.end() < len(self.chars) else ""),
            )
        )

    def _replaced(self, pieces: Iterable[tuple[int, int, str]]) -> Text:
        """Spans replaced, in their order; what is new stands where the old stood."""
        chars: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for start, end, new in pieces:
            last = end - 1 if end > start else max(start - 1, 0)
            chars += (self.chars[done:start], new)
            starts += self.starts[done:start]
            ends += self.ends[done:start]
            starts += [self.starts[min(start, last)]] * len(new)
            ends += [self.ends[last]] * len(new)
            done = end
        if not chars:
            return self
        return Text("".join((*chars, self.chars[done:])), starts + self.starts[done:], ends + self.ends[done:])


class Sentence:
    """A request being read: readers look at what is free, and take what they understood."""

    def __init__(self, raw: str, *rewrite: Callable[[Text], Text]) -> None:
        self._raw = raw[:LONGEST]
        self._clean = _cleaned(self._raw)
        chars = self._clean.chars
        self.skipped = _TOO_LONG.search(chars) is not None
        """Whether something was too long to be read."""
        text = Text(chars, list(range(len(chars))), list(range(1, len(chars) + 1)))
        text = text.rewritten(_ARGUMENT, lambda match: f"{match[1]} {match[2]}")
        text = text.rewritten(_NESTED, lambda match: f"{match[1]}:")
        text = text.rewritten(_KEY, lambda match: f"{match[1]}:").rewritten(_EMPHASIS, "").rewritten(_CAMEL, _dashed)
        text = text.paired(_PARAMETER).paired(_ROW).rewritten(_INDENTED, ": ").rewritten(_BULLET, ", ")
        for step in rewrite:
            text = step(text)
        self._starts, self._ends = text.starts, text.ends
        self.text = text.chars
        """The request with case kept: straight quotes, plain dashes, single spaces, numbers as digits."""
        self.plain = "".join(low if len(low := char.lower()) == 1 else char for char in text.chars)
        """The same in small letters."""
        self.free = _TOO_LONG.sub(lambda match: TAKEN * len(match[0]), self.plain)
        """The same, blanked out where it has been read."""

    def find(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches in what is free; the caller may take each before it asks for the next."""
        position = 0
        while (match := pattern.search(self.free, position)) is not None:
            yield match
            position = max(match.end(), position + 1)

    def take(self, start: int, end: int) -> None:
        """Mark a part as read."""
        self.free = f"{self.free[:start]}{TAKEN * (end - start)}{self.free[end:]}"

    def exact(self, start: int, end: int) -> str:
        """A name as it was written, in plain punctuation, before numbers and spelling were put right."""
        return self._clean.chars[self._starts[start] : self._ends[end - 1]] if end > start else ""

    def original(self, start: int, end: int) -> str:
        """The person's own words at a place, without control characters."""
        if end <= start:
            return ""
        first, last = self._starts[start], self._ends[end - 1] - 1
        words = self._raw[self._clean.starts[first] : self._clean.ends[last]]
        return " ".join("".join(char if char.isprintable() else " " for char in words).split())


def _cleaned(raw: str) -> Text:
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for index, char in enumerate(raw):
        plain = "'" if char == "`" else char if char.isascii() else _NAMED.get(char, "") or _plain(char)
        if plain == ", " and raw[index - 1 : index].isdigit() and raw[index + 1 : index + 2].isdigit():
            plain = ","
        if not char.isascii() or char.isprintable() or char.isspace():
            chars.append(plain if plain.isprintable() or plain == "\n" else " " * len(plain))
        else:
            chars.append(" ")
        starts += [index] * len(plain)
        ends += [index + 1] * len(plain)
    text = Text("".join(chars), starts, ends)
    text = (
        text.rewritten(_RISING, _as_range)
        .rewritten(_ARROW, "=")
        .rewritten(_FLAG_DASHES, "--")
        .rewritten(_RANGE_DASH, "-")
        .rewritten(_PAUSE_DASH, ", ")
    )
    text = text.rewritten(_SPACED_OPENING, '"').rewritten(_SPACED_CLOSING, '"')
    text = text.rewritten(_GLUED_OPENING, ' "').rewritten(_GLUED_CLOSING, '" ').rewritten(_QUOTES, '"')
    return text.rewritten(_LINES, "\n").rewritten(_SPACES, " ")


def _dashed(match: re.Match[str]) -> str:
    """``max-model-len`` for ``maxModelLen``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", match[0]).lower()


def _as_range(match: re.Match[str]) -> str | None:
    return f"{match[1]} to " if int(match[1]) < int(match[2]) else None


def _plain(char: str) -> str:
    """A compatibility character as its plain form (full-width and superscript digits, ligatures)."""
    kind = unicodedata.category(char)
    if kind == "Cf":
        return ""  # zero-width marks, direction marks
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    return " " if kind == "Zs" else unicodedata.normalize("NFKC", char)
