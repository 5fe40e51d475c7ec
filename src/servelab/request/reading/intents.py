"""What the experiment is for: by the words for it, or by what was asked for besides."""

from __future__ import annotations

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.said import Intent

_STRONG = {
    Intent.ESTIMATE: (
        r"estimat(?:e|es|ing|ion)(?: (?:the |of |latency |model |queueing ){0,5}(?:parameters?|"
        r"coefficients?|model|alphas?|betas?))?|"
        r"(?:service|queue?ing|latency|performance|decode|prefill|step[- ]time)(?: model)? parameters?|"
        r"coefficients?|calibrat(?:e|ing|ion)|parameter[- ]estimation|(?:latency|queue?ing|step[- ]time) models?|"
        r"fit(?:ting)? (?:an? |the )?(?:latency |performance |queue?ing |step[- ]time |"
        r"linear ){0,5}(?:model|coefficients|parameters|curve)|"
        r"fit(?:ting)? (?:the |a )?(?:step|iteration|prefill|decode|itl|ttft|response)[- ]?times?|"
        r"alpha(?:,? (?:and |\+ )?|/| ?\+ ?)beta(?:,? (?:and )?gamma|/gamma)?|workload variant autoscaler|wva"
    ),
    Intent.TUNE: (
        r"(?:auto[- ]?)?tun(?:e|ing|er)|optimi[sz](?:e|es|ing|ation|ed)|hyper-?parameter search|"
        r"find (?:me |us |out )?(?:the |an? )?(?:best|optimal|ideal|fastest|right|"
        r"good)(?: (?:config(?:uration)?s?|settings?|parameters?|flags?|values?|arguments?|setup))?|"
        r"(?:best|optimal|ideal|fastest|right)(?: (?:vllm|sglang|engine|server|serving|deployment|possible)){0,3} "
        r"(?:config(?:uration)?s?|settings?|parameters?|flags?|setup|values?)|"
        r"search(?:ing)? (?:for )?(?:the |an? )?(?:best |optimal |good ){0,5}(?:config(?:uration)?s?|"
        r"settings?|parameters?|space|flags)"
    ),
    Intent.EXPERIMENT: (
        r"(?:full[- ]?)?factorial(?: (?:design|experiment))?|designed experiment|"
        r"design(?:ed)? (?:of )?(?:an )?experiments?|"
        r"(?:every|all)(?: possible)? combinations?(?: of)?|grid(?: search| sweep)?|ablation(?: study)?|"
        r"cross[- ]product"
    ),
}
_WEAK = {
    Intent.EXPERIMENT: r"compar(?:e|es|ing|ison)|a/b test|vary(?:ing)?|parameter sweep",
    Intent.COLLECT: (
        r"(?:collect(?:ing|ion)?|gather(?:ing)?)(?: (?:of |some |the |training |benchmark |performance |"
        r"latency |blis |trace |tracing ){0,5}(?:data|traces|measurements|metrics))?|"
        r"data[- ]collection|benchmark(?:s|ing|ed)?|measur(?:e|es|ing|ement)|load[- ]?test(?:s|ing)?"
    ),
}
_SWEEP = rx(r"(?<![\w-])sweep(?:s|ing)?(?![\w-])")


def read_intent(heard: Heard, known: Known) -> None:
    """The strongest that was said; an objective or a number of trials ask for a search."""
    for words in (_STRONG, _WEAK):
        for intent, pattern in words.items():
            for match in heard.sentence.find(rx(rf"(?<![\w-])(?:{pattern})(?![\w-])")):
                _say(heard, intent, match.start(), match.end())
        goals = heard.said("objective") or heard.said("budget.trials")
        if goals and words is _STRONG:
            _say(heard, Intent.TUNE, goals[0].start, goals[0].end)
    levels = any(isinstance(mention.value, tuple) and len(mention.value) > 1 for mention in heard.mentions)
    for match in heard.sentence.find(_SWEEP):
        if levels or heard.said("profile.rate_type"):
            heard.sentence.take(*match.span())
        else:
            heard.say("profile.rate_type", "sweep", *match.span())


def _say(heard: Heard, intent: Intent, start: int, end: int) -> None:
    if heard.said("intent"):
        heard.sentence.take(start, end)
    else:
        heard.say("intent", intent, start, end)
