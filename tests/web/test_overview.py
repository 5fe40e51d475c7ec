"""The list of studies in memory: what the store says, and little of it read again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from servelab.spec.trial import StudyRecord
from servelab.store.rows import Summary
from servelab.store.store import Store
from servelab.web.live import KEPT
from servelab.web.overview import Overview, study_lines
from tests.lab.studies import small
from tests.web.test_live import caught_up, finish, in_a_thread, living, trials


class Counted(Store):
    """A store that notes of which studies the trials were counted."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read: list[str] = []

    def summary(self, study_id: str) -> Summary:
        self.read.append(study_id)
        return super().summary(study_id)


@in_a_thread
async def test_only_what_has_changed_is_read_again_once_for_all_who_look(tmp_path: Path) -> None:
    store = Counted(str(tmp_path / "store.db"))
    studies = [store.create_study(small()).id for _ in range(30)]
    async with living(store) as live:
        overview = Overview(store, live)
        assert [line.id for line in await overview.lines()] == studies[::-1]
        store.read.clear()
        store.set_study_state(studies[7], "cancelled", "")
        await caught_up(live, store)
        for seen in await asyncio.gather(*(overview.lines() for _ in range(4))):
            assert [line.id for line in seen if line.state == "cancelled"] == [studies[7]]
        assert store.read == [studies[7]]


@in_a_thread
async def test_lines_are_the_store_s_after_any_changes(tmp_path: Path) -> None:
    rng = random.Random(5)
    store = Store(str(tmp_path / "store.db"))
    studies: list[StudyRecord] = []
    async with living(store) as live:
        overview = Overview(store, live)
        for step in range(80):
            what = rng.choice(("create", "add", "add", "finish", "finish", "cancel", "delete", "go"))
            if what == "create" or not studies:
                studies.append(store.create_study(small()))
            elif what == "delete":
                store.delete_study(studies.pop(rng.randrange(len(studies))).id)
            elif what == "go":  # who looks goes in the middle
                looking = asyncio.ensure_future(overview.lines())
                await asyncio.sleep(0)
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            else:
                study = rng.choice(studies).id
                if what == "add":
                    store.add_trials(study, trials(rng.randint(1, 3)))
                elif what == "finish":
                    finish(store, study)
                else:
                    store.set_study_state(study, "cancelled", f"step {step}")
            if rng.random() < 0.5:
                await caught_up(live, store)
                assert await overview.lines() == study_lines(store)


@in_a_thread
async def test_a_list_that_nobody_has_looked_at_for_long_is_read_anew(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    study = store.create_study(small()).id
    async with living(store) as live:
        overview = Overview(store, live)
        await overview.lines()
        for number in range(KEPT + 500):
            store.append_event(study, None, "note", {"number": number})
        store.set_study_state(study, "cancelled", "")
        await caught_up(live, store)
        assert [line.state for line in await overview.lines()] == ["cancelled"]
