"""What every page has: title, navigation, theme; and how a page follows what happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import ParamSpec, TypeVar

from nicegui import background_tasks, ui
from starlette.requests import Request

from servelab.spec.errors import NotFoundError, ServelabError, StoreError
from servelab.store.claims import LIST_THEM, START_ONE
from servelab.web.context import Context
from servelab.web.pages.parts import element, empty, text
from servelab.web.tokens import COOKIE

P = ParamSpec("P")
T = TypeVar("T")

NAVIGATION = (
    ("/", "Studies"),
    ("/new", "New study"),
    ("/compare", "Compare"),
    ("/predict", "Predict"),
    ("/convert", "Convert a guide"),
    ("/system", "System"),
)
THEME = "servelab-theme"
CONNECTED = 0.1  # seconds between two looks at whether a browser is there
ACCENT = {False: "#1d5fbf", True: "#8ab8ff"}
HEAD = """<link rel="stylesheet" href="/static/servelab.css"><script src="/static/servelab.js"></script>"""


@contextlib.contextmanager
def frame(title: str, active: str) -> Iterator[ui.element]:
    """A page: its navigation, and the part that the body of the ``with`` fills. ``active`` is the path to mark."""
    ui.add_head_html(HEAD)
    ui.page_title(f"{title} - servelab")
    ui.dark_mode(value=is_dark())
    # Messages are white on these, in both themes.
    ui.colors(primary=ACCENT[is_dark()], positive="#1b6e3c", negative="#b3261e", warning="#8a5200", info="#1d5fbf")
    top = ui.header(wrap=False).classes("top")
    main = element("div", "page").props("id=main tabindex=-1")
    ui.skip_link("Skip to the content", target=main)
    with top:
        ui.link("servelab", "/").classes("brand")
        with element("nav", "nav").props('aria-label="Pages"'):
            for path, name in NAVIGATION:
                link = ui.link(name, path)
                if path == active:
                    link.props('aria-current="page"')
        _theme_button()
        _sign_out_button()
    with main:
        yield main


def is_dark() -> bool:
    """Whether the person has chosen the dark theme."""
    request: Request | None = ui.context.client.request
    return request is not None and request.cookies.get(THEME) == "dark"


def _theme_button() -> None:
    other = "light" if is_dark() else "dark"
    # Charts are drawn for one theme, so the page is loaded again.
    script = f"document.cookie='{THEME}={other}; path=/; max-age=31536000; samesite=strict'; location.reload()"
    icon = "light_mode" if is_dark() else "dark_mode"
    ui.button(icon=icon).props(f'flat round dense aria-label="Use the {other} theme"').on(
        "click", js_handler=f"() => {{ {script} }}"
    )


def _sign_out_button() -> None:
    """For whoever has signed in: a form, since the session's cookie is out of the page's reach."""
    request: Request | None = ui.context.client.request
    if request is None or COOKIE not in request.cookies:
        return
    with element("form").props('method="post" action="/logout"'):
        ui.button(icon="logout").props('flat round dense type="submit" aria-label="Sign out"')


def no_such_study(study_id: str, error: NotFoundError) -> None:
    """The page of a study that is not there."""
    with frame("No such study", "/"):
        hint = (
            error.remedy.removesuffix(LIST_THEM).removesuffix(START_ONE)
            or "It may have been removed; the list has all there are."
        )
        empty(f"There is no study {study_id[:80]}", hint)
        ui.link("All studies", "/")


def heading(title: str, level: str = "h1") -> ui.element:
    """A heading."""
    return text(level, title)


def watch(
    context: Context, study: str | None, after: int, refresh: Callable[[], Awaitable[object]], every: float = 0.5
) -> None:
    """Call ``refresh`` when something happens, at most every so many seconds, as long as the page is open.

    ``after`` is the newest event from before the page first read the store: what happens meanwhile is not missed.
    """
    client = ui.context.client

    async def follow() -> None:
        async for _ in context.live.follow(after, study):
            while not client.has_socket_connection:  # closed before it was there: nobody looks
                await asyncio.sleep(CONNECTED)
            while not await refreshed():
                await asyncio.sleep(1)
            await asyncio.sleep(every)

    async def refreshed() -> bool:
        try:
            with client:
                await refresh()
        except StoreError:  # it is away for a while
            return False
        return True

    task = background_tasks.create(follow())
    client.on_delete(task.cancel)


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what blocks, without holding up others."""
    return await asyncio.to_thread(call, *args, **kwargs)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Show an error of ours as a message on the page, instead of passing it on."""
    try:
        yield
    except ServelabError as error:
        ui.notify(
            f"{error.message} {error.remedy}".strip(), type="negative", multi_line=True, close_button="Close", timeout=0
        )
