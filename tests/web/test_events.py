"""Events by SSE: whoever is cut off and comes back misses nothing and gets nothing twice."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from servelab.store.store import Store
from tests.web.finished import HELD, create
from tests.web.served import Served


def stream(
    served: Served, query: str = "", last: int | None = None, cut: float = 120.0, size: int = 1 << 30
) -> Iterator[dict[str, Any]]:
    """Events of one connection, which is cut after so many seconds or bytes, wherever it is then."""
    known = "" if last is None else f"Last-Event-ID: {last}\r\n"
    end = time.monotonic() + cut
    with socket.create_connection(("127.0.0.1", served.port), 120) as sock:
        sock.sendall(f"GET /api/v1/events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{known}\r\n".encode())
        waiting = b""
        while size > 0 and (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                got = sock.recv(min(size, random.choice((7, 100, 4096))))
            except TimeoutError:
                return
            if not got:
                return
            size -= len(got)
            waiting += got
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


def write(store: Store, study: str, count: int, pause: float = 0.0) -> None:
    for number in range(count):
        store.append_event(study, None, "note", {"number": number})
        time.sleep(pause)


def first(events: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [event for _, event in zip(range(count), events, strict=False)]


def test_a_client_that_is_cut_off_at_random_misses_nothing_and_gets_nothing_twice(served: Served) -> None:
    random.seed(7)
    study, other = create(served, HELD, start=False), create(served, HELD, start=False)
    store = served.store
    count = 4000  # more than is kept in memory
    writers = [threading.Thread(target=write, args=(store, one, count)) for one in (study, other)]
    for writer in writers:
        writer.start()
    got: list[int] = []
    last, cuts, end = 0, 0, time.monotonic() + 600
    while len(got) < count:
        assert time.monotonic() < end, f"{len(got)} events after {cuts} cuts"
        # By size as well: on a quick machine they all come within a second.
        for event in stream(
            served, f"?study={study}&after=0", last, random.uniform(0.05, 5.0), random.randint(1, 60_000)
        ):
            last = event["id"]
            if event["kind"] == "note":
                got.append(event["data"]["number"])
            if len(got) == count:
                break
        cuts += 1
    for writer in writers:
        writer.join()
    assert got == list(range(count))
    assert cuts > 3


def test_it_begins_with_what_happens_from_now_on(served: Served) -> None:
    study = create(served, HELD, start=False)
    served.store.append_event(study, None, "before", {})
    assert "before" in {event["kind"] for event in first(stream(served, f"?study={study}&after=0"), 2)}
    # The server has seen it.
    found = stream(served, f"?study={study}")
    heard: list[dict[str, Any]] = []
    listening = threading.Thread(target=lambda: heard.extend(first(found, 1)))
    listening.start()
    while listening.is_alive():
        served.store.append_event(study, None, "after", {})
        listening.join(0.2)
    assert heard[0]["kind"] == "after"


def test_a_study_that_is_deleted_says_so_also_to_who_comes_back(served: Served) -> None:
    study = create(served, HELD, start=False)
    write(served.store, study, 3)
    (made, *_) = first(stream(served, f"?study={study}&after=0"), 4)
    assert made["kind"] == "created"
    assert served.ask(f"/api/v1/studies/{study}", method="DELETE").status == 204
    assert "deleted" in (event["kind"] for event in stream(served, f"?study={study}", made["id"]))
    served.kill()
    served.start()
    (told,) = first(stream(served, f"?study={study}", made["id"]), 1)
    assert told["kind"] == "deleted"
    assert not list(stream(served, f"?study={study}", told["id"], 1))


def test_of_a_study_that_never_was_nothing_is_told(served: Served) -> None:
    assert served.ask("/api/v1/events?study=nothing").status == 404
    assert served.ask("/api/v1/events", Last_Event_ID="-1").status == 422
    assert served.ask("/api/v1/events?after=-1").status == 422
    assert served.ask("/api/v1/events?study=A%20b").status == 422
