"""From plain words to the fields of a request: readers, one for each kind of thing, share one sentence."""

from __future__ import annotations

from collections.abc import Callable

from servelab.catalog.catalog import Catalog, load_catalog
from servelab.request.reading.answer import answer
from servelab.request.reading.budgets import read_budget
from servelab.request.reading.corrections import read_corrections
from servelab.request.reading.flags import read_flags
from servelab.request.reading.goals import read_goals, read_lone_metric
from servelab.request.reading.heard import Heard
from servelab.request.reading.images import read_features, read_images
from servelab.request.reading.intents import read_intent
from servelab.request.reading.known import Known
from servelab.request.reading.leftover import drop_command
from servelab.request.reading.lengths import read_lengths
from servelab.request.reading.limits import read_limits
from servelab.request.reading.loads import read_loads, read_named_loads, read_seconds
from servelab.request.reading.models import read_ids, read_models
from servelab.request.reading.names import read_names
from servelab.request.reading.places import engine_of, read_accelerators, read_engine, read_platform, read_urls
from servelab.request.reading.proximity import read_near
from servelab.request.reading.quantity import with_digits
from servelab.request.reading.removals import read_removals
from servelab.request.reading.sentence import LONGEST, LONGEST_WORD, Sentence
from servelab.request.reading.spoken import read_spoken
from servelab.request.reading.tuned import read_tuned
from servelab.request.reading.vocabulary import Spelling
from servelab.request.reading.workloads import read_workload
from servelab.request.said import Request, Understanding

READERS: tuple[Callable[[Heard, Known], None], ...] = (
    read_removals,
    read_flags,
    read_urls,
    read_names,
    read_images,
    read_ids,
    read_engine,
    read_tuned,
    read_goals,
    read_budget,
    read_loads,
    read_accelerators,
    read_lengths,
    read_models,
    read_limits,
    read_spoken,
    read_features,
    read_named_loads,
    read_platform,
    read_workload,
    read_intent,
    read_seconds,
    read_near,
    read_corrections,
    read_lone_metric,
)
"""In order: what is written exactly comes first, words with several meanings come last."""


def understand(text: str, before: Request | None = None, *, catalog: Catalog | None = None) -> Understanding:
    """What a person asked for, on top of what was said ``before``.

    Nothing is guessed silently: what is doubtful becomes a question or a warning, and what nothing was made of is
    told as leftover. Any text is safe to read; of a very long one the beginning is read.

    Raises:
        DocumentError: a file that the user added to the catalog is wrong.
    """
    before, catalog = before or Request(), catalog or load_catalog()
    engine = engine_of(text[:LONGEST].lower()) or before.engine or "vllm"
    spelling = Spelling(catalog, engine)
    sentence = Sentence(text, with_digits, spelling)
    known, heard = Known(catalog, before, engine), Heard(sentence)
    heard.warnings += spelling.notes
    if len(text) > LONGEST:
        heard.warn(f"only the first {LONGEST:,} characters were read, of {len(text):,}")
    if sentence.skipped:
        heard.warn(f"a piece of more than {LONGEST_WORD} characters without a space was not read")
    drop_command(sentence)
    for read in READERS:
        read(heard, known)
    return answer(heard, known)
