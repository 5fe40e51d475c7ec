"""How to serve, in every form: text to copy, a file to download, or why a form does not exist."""

from __future__ import annotations

from nicegui import ui

from servelab.report.offers import Offer, offers
from servelab.report.recommend import Recommendation
from servelab.web.pages.frame import heading
from servelab.web.pages.parts import copy_button, element, notice, text


def serving(advice: Recommendation) -> None:
    """The card with a tab for each form."""
    found = offers(advice)
    with element("section", "card stack"):
        heading("How to serve", "h2")
        if not any(offer.text for offer in found):
            notice(f"{_sentence(found[0].missing)} {found[0].remedy}", "warn")
            return
        with ui.tabs().props('align=left no-caps dense outside-arrows mobile-arrows aria-label="Forms"') as tabs:
            for offer in found:
                ui.tab(offer.form, label=offer.short)
        with ui.tab_panels(tabs, value=found[0].form, animated=False).classes("panels"):
            for offer in found:
                with ui.tab_panel(offer.form).classes("stack"):
                    _panel(advice, offer)


def _panel(advice: Recommendation, offer: Offer) -> None:
    heading(offer.title, "h3")
    if offer.text is None:
        notice(f"{_sentence(offer.missing)} {offer.remedy}", "warn")
        return
    with element("div", "row"):
        text("code", offer.use, "grow") if _is_command(offer) else text("span", offer.use, "muted grow")
        target = f"/api/v1/studies/{advice.study}/recommendation?form={offer.form}"
        place = element("span")
        ui.button(f"Download {offer.file}", icon="download").props(f'flat no-caps dense href="{target}"')
    # What is pasted into a terminal need not bring the evidence along; the file has it in its comments.
    shown = text("pre", advice.command_lines if offer.form == "command" else offer.text, "text")
    shown.props("tabindex=0 role=region")
    shown.props["aria-label"] = offer.title
    with place:
        copy_button(shown, offer.title)


def _is_command(offer: Offer) -> bool:
    return offer.use.startswith(("docker", "kubectl", "helm"))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
