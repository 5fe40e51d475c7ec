"""What the experiment is for."""

from __future__ import annotations

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.said import Intent

_WORDS = {
    Intent.ESTIMATE: r"estimat(?:e|es|ing|ion)(?: (?:the |of |latency |model |queueing )*(?:parameters?|coefficients?|model|alphas?|betas?))?|coefficients?|calibrat(?:e|ing|ion)|parameter[- ]estimation|fit(?:ting)? (?:an? |the )?(?:latency |performance |queue(?:ing)? |step[- ]time |linear )*(?:model|coefficients|parameters|curve)|latency model|queueing model|alpha(?:,| and|/) ?beta(?:(?:,| and|/) ?gamma)?|workload variant autoscaler|wva",
    Intent.TUNE: r"(?:auto[- ]?)?tun(?:e|ing|er)|optimi[sz](?:e|es|ing|ation|ed)|find (?:me |us )?(?:the |an? )?(?:best|optimal|ideal|fastest|right|good)(?: (?:config(?:uration)?s?|settings?|parameters?|flags?|values?|arguments?|setup))?|best (?:config(?:uration)?|settings?|parameters?|flags?|setup)|search(?:ing)? (?:for )?(?:the |an? )?(?:best |optimal |good )*(?:config(?:uration)?s?|settings?|parameters?|space|flags)?|hyper-?parameter search",
    Intent.EXPERIMENT: r"(?:full[- ]?)?factorial(?: (?:design|experiment))?|designed experiment|design(?:ed)? (?:of )?(?:an )?experiments?|(?:every|all)(?: possible)? combinations?(?: of)?|grid(?: search| sweep)?|ablation(?: study)?|compar(?:e|es|ing|ison)|cross[- ]product|a/b test|vary(?:ing)?|parameter sweep",
    Intent.COLLECT: r"(?:collect(?:ing|ion)?|gather(?:ing)?)(?: (?:of |some |the |training |benchmark |performance |latency |blis |trace |tracing )*(?:data|traces|measurements|metrics))?|data[- ]collection|benchmark(?:s|ing|ed)?|measur(?:e|es|ing|ement)|load[- ]?test(?:s|ing)?|profil(?:e|ing) (?=(?:the )?(?:model|engine|server))",
}
_PATTERNS = {intent: rx(rf"(?<![\w-])(?:{words})(?![\w-])") for intent, words in _WORDS.items()}
_SWEEP = rx(r"(?<![\w-])sweep(?:s|ing)?(?![\w-])")


def read_intent(heard: Heard, known: Known) -> None:
    """The first of estimate, tune, experiment and collect that is spoken of."""
    for intent, pattern in _PATTERNS.items():
        for match in heard.sentence.find(pattern):
            if not heard.said("intent"):
                heard.say("intent", intent, *match.span())
            else:
                heard.sentence.take(*match.span())
    levels = any(isinstance(mention.value, tuple) and len(mention.value) > 1 for mention in heard.mentions)
    for match in heard.sentence.find(_SWEEP):
        if levels or heard.said("profile.rate_type"):
            heard.sentence.take(*match.span())
        else:
            heard.say("profile.rate_type", "sweep", *match.span())
