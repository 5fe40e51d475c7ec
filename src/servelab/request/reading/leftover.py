"""What nothing was made of, without the words that say nothing."""

from __future__ import annotations

from servelab.request.reading.known import STOP, rx, word_list
from servelab.request.reading.sentence import TAKEN, Sentence

MOST = 20  # pieces that are told
LONGEST = 120  # characters of a piece

SAYS_NOTHING = STOP | word_list("fillers")
"""Words that may stay unread."""

_WORD = rx(rf"[^\s{TAKEN},;:!?()\[\]{{}}\"=|]+")
_SLASH = rx(
    r"(?:^|(?<=[\s\0]))/(?:blis(?:-data-collector)?)\b|\bservelab ask\b|"
    r"\b(?:docker|podman) run(?: (?:--rm|-d|-it|-t|-i|--detach|--privileged|--init|"
    r"-(?!-model)-?[\w-]{1,40}[= ](?!-)[^\s\0]{1,200})){0,24}|"
    r"\bpython3? -m (?=sglang)|\bpython3? -m vllm[\w.]*(?!\S)|(?:^|(?<=\n))[ ]?\d{1,2}[.)](?= )"
)


def drop_command(sentence: Sentence) -> None:
    """Take the name of a command that a request may begin with, and the numbers of a list."""
    for match in sentence.find(_SLASH):
        sentence.take(*match.span())


def leftover(sentence: Sentence) -> tuple[str, ...]:
    """Pieces of the sentence that nobody took, in the person's own words."""
    pieces: list[tuple[int, int]] = []
    for match in sentence.find(_WORD):
        word = match[0].strip(".-_/*&+~<>#@%•'")
        if not word or word in SAYS_NOTHING:
            continue
        start, end = match.start(), match.start() + len(match[0].rstrip(".-_"))
        if pieces and set(sentence.free[pieces[-1][1] : start]) <= {" "}:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((start, end))
    return tuple(sentence.original(start, end)[:LONGEST] for start, end in pieces[:MOST])
