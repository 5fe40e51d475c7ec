"""What is taken back: "remove prefix caching", "drop the SLO", "without the custom image"."""

from __future__ import annotations

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, one_of, rx
from servelab.request.reading.spoken import phrases_of

FIELDS = {
    "objective": ("objective", "goal"),
    "constraints": ("slo", "slos", "constraint", "constraints", "bound", "bounds"),
    "budget": ("budget", "time limit", "trial limit"),
    "namespace": ("namespace",),
    "experiment_id": ("experiment id", "id", "experiment name"),
    "images": ("image", "custom image", "custom vllm image", "vllm image", "image override", "custom images"),
    "images.init": ("init image",),
    "max_model_len": ("max model len", "context length", "max model length"),
    "max_num_batched_tokens": ("max num batched tokens", "batched tokens"),
    "max_num_seqs": ("max num seqs",),
    "tensor_parallelism": ("tp", "tensor parallelism"),
    "workload": ("workload", "custom workload"),
    "sweep": ("sweep", "sweeps"),
    "profile.rates": ("rate", "rates"),
    "profile.prefix": ("prefix", "shared prefix"),
    "profile.max_requests": ("max requests",),
    "accelerator": ("accelerator",),
    "platform": ("platform",),
}
_VERB = (
    r"(?:remove|drop|delete|unset|forget(?: about)?|take (?:out|away|back)|get rid of|clear|undo|"
    r"scratch|leave out|reset|omit|no longer (?:use|need|want))"
)
_NOUN = r"(?: (?:flag|argument|arg|option|setting|parameter|limit)s?)?"


def read_removals(heard: Heard, known: Known) -> None:
    """Fields and arguments behind a verb that takes back; what was never said is left to other readers."""
    words = phrases_of(known.catalog, known.engine)
    names: dict[str, str] = {word: field for field, said in FIELDS.items() for word in said}
    names |= {said: argument.flag for said, argument in words.named.items()}
    names |= {said: phrase.argument.flag for said, phrase in words.phrases.items()}
    flags = {*known.before.engine_args, *known.before.sweep}
    item = (
        rf"(?:the |my |our |any |all ){{0,5}}(?:--(?P<flag>[a-z0-9][\w-]*)|(?P<name>{one_of(names)})(?![\w-])){_NOUN}"
    )
    first, more = rx(rf"(?<![\w-]){_VERB} {item}"), rx(rf"(?:,? and |, ?| or ){item}")
    for match in heard.sentence.find(first):
        found = match
        while found:
            name = _plain(found["name"]) if found["name"] else ""
            target = f"--{found['flag'].rstrip('-').replace('_', '-')}" if found["flag"] else names[name]
            if not target.startswith("--") or target in flags:
                heard.removed.append(target)
                heard.sentence.take(*found.span())
            elif found["name"]:
                break
            else:
                heard.warn(f"{target} was not set, so there is nothing to remove")
                heard.sentence.take(*found.span())
            found = more.match(heard.sentence.free, found.end())  # type: ignore[assignment]


def _plain(said: str) -> str:
    return said.replace("-", " ").replace("_", " ")
