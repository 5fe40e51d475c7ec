"""Names of experiments: safe in a path, an argument and a manifest, and made from what runs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date

LONGEST = 50  # characters of a name
MODEL = 24  # characters of it that a model may take

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SIZE = re.compile(r"(?:\d+x)?\d+(?:\.\d+)?[bm]", re.IGNORECASE)


def slug(text: str, longest: int = LONGEST) -> str:
    """``text`` as a DNS label: small letters, digits and single dashes; empty when nothing of it can stay."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:longest].strip("-")


def short_model(model: str) -> str:
    """Family and size of a model: ``llama70b`` for ``meta-llama/Llama-3.3-70B-Instruct``.

    Without a size in its name, the whole name.
    """
    words = [word for word in re.split(r"[-_\s]+", model.rsplit("/", 1)[-1]) if word]
    size = next((index for index, word in enumerate(words) if _SIZE.fullmatch(word)), None)
    if not size:
        return slug(model.rsplit("/", 1)[-1], MODEL)
    family = "".join(re.sub(r"[\d.v]*\d$", "", word) for word in words[:size] if word.lower() != "meta")
    return slug(family + words[size], MODEL)


def experiment_id(day: date, model: str, workload: str, tensor_parallelism: Sequence[int] = ()) -> str:
    """``feb04-llama70b-chatsweep-tp4``; without the end unless exactly one tensor parallelism was asked for."""
    end = f"-tp{tensor_parallelism[0]}" if len(tensor_parallelism) == 1 else ""
    parts = (f"{_MONTHS[day.month - 1]}{day.day:02d}", short_model(model), slug(workload))
    start = "-".join(part for part in parts if part)
    return start[: LONGEST - len(end)].strip("-") + end


def unused(name: str, taken: Sequence[str]) -> str:
    """``name``, or with the first free ending of -v2, -v3 and so on."""
    found, version = name, 1
    while found in taken:
        version += 1
        found = f"{name[: LONGEST - len(str(version)) - 2].strip('-')}-v{version}"
    return found
