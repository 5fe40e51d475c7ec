"""What nothing was made of, without the words that say nothing."""

from __future__ import annotations

from servelab.request.reading.known import STOP, rx
from servelab.request.reading.sentence import TAKEN, Sentence

MOST = 20  # pieces that are told
LONGEST = 120  # characters of a piece

SAYS_NOTHING = STOP | frozenset(
    "also hello hi hey dear thank thx ok okay yes yep sure no great good fine looks look like need needs needed want wants wanna gonna "
    "would should could can may might must shall will let's lets i'd i'll i'm we'd we'll it's that's try trying test tests testing tested run runs running "
    "start starts starting launch deploy deployed deploying serve serves serving served do does done doing make makes making give gives get gets set sets setup setting settings "
    "show tell find see check perform execute create kick off up out go going put have has had having been being model models workload workloads "
    "benchmark benchmarks experiment experiments study studies trial trials engine engines server servers vllm sglang image images container containers main init "
    "namespace ns cluster job jobs pipeline pipelines config configuration configurations parameter parameters arg args argument arguments flag flags option options value values level levels "
    "token tokens prompt prompts input inputs output outputs request requests rate rates load loads traffic profile length lengths long size sizes number max maximum min minimum "
    "gpu gpus accelerator accelerators card node nodes machine tp context sweep sweeping sweeps different various several multiple few following other another both either one two more less most "
    "please kindly just simply really very quite actually basically still now today then next first second third finally afterwards after before again instead rather while during between across "
    "name named call called id experimentid tag tagged version versions latest custom own used uses enable enabled enabling disable disabled with without support mode way type types kind using "
    "performance data results result slo slos objective goal goals constraint constraints budget time total each every per about around approximately roughly me us my you your him them they "
    "blis servelab llm llms inference model's huggingface hugging face hf kubernetes k8s tekton docker add adding added change changed changes keep keeping leave use using because since so such as well too only all any "
    "respectively etc eg ie vs versus versus through until till once within stdev mean average change switch update modify replace remove collect collection "
    "and/or w w/ the here's heres there's what's which how's bring spin fire want'd tests serve served against standard simple basic full fully quick quickly small big large "
    "pods goes lives accordingly take takes weight weights checkpoint checkpoints quantised quantized quantization quantisation 4-bit 8-bit everything i.e increase raise lower restrict treatment treatments better double nothing replica replicas skip engine_args args export send sending stop ramp general limit cap capped save free choose s.t s.t. subject exactly kubectl shard sharded sharding split splitting spend spending allow allows allowing permit let letting apply pass passing keeps kept gives giving makes made does making that'll i've we've what is how where make sure ensure ensuring aim target targeting wish hope hoping expect expected know known think believe guess maybe perhaps possible possibly able want".split()
)
"""Words that may stay unread."""

_WORD = rx(rf"[^\s{TAKEN},;:!?()\[\]{{}}\"=|]+")
_SLASH = rx(r"(?:^|(?<=[\s\0]))/(?:blis(?:-data-collector)?)\b|\bservelab ask\b|\bpython3? -m vllm[\w.]*(?!\S)|(?:^|(?<=\n))[ ]?\d{1,2}[.)](?= )")


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
