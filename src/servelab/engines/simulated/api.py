"""What the OpenAI API's requests ask of the simulated engine, and the form of its answers. One word is one token."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servelab.engines.simulated.options import Settings

VERSION = "simulated-2"
COMPLETION_TOKENS = 16  # where a completion does not say, as in vLLM; a chat may fill the context
NATURAL_TOKENS = 200.0  # mean length of an answer that may end by itself (exponential)
WORD = " word"
MAX_BODY = 64 * 2**20  # bytes


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Generation:
    """What to generate, and how to answer."""

    id: str
    model: str
    chat: bool
    words: tuple[str, ...]
    output: int
    finish: str
    stream: bool
    usage: bool


def read_generation(body: Mapping[str, Any], chat: bool, number: int, settings: Settings) -> Generation:
    """Request ``number``, of the chat or the completions API.

    Raises:
        RefusedError: vLLM would refuse it too, or it asks for what is not simulated.
    """
    model = body.get("model") or settings.served_name
    if model != settings.served_name:
        raise RefusedError(404, f"The model `{model}` does not exist.")
    words = prompt_words(body)
    limit = settings.memory.max_model_len
    default = max(1, limit - len(words)) if chat else COMPLETION_TOKENS
    most = _tokens(body, "max_completion_tokens", _tokens(body, "max_tokens", default))
    least = _tokens(body, "min_tokens", 0)
    if most < 1 or not 0 <= least <= most:
        raise RefusedError(400, f"max_tokens must be at least 1 and min_tokens, got {most} and {least}.")
    if len(words) + most > limit:
        raise RefusedError(
            400,
            f"This model's maximum context length is {limit} tokens. However, you requested {most} output tokens and "
            f"your prompt contains {len(words)} input tokens, for a total of {len(words) + most} tokens.",
        )
    output = most if body.get("ignore_eos") else min(most, max(least, _natural_length(words, settings.seed)))
    options = body.get("stream_options")
    return Generation(
        id=f"{'chatcmpl' if chat else 'cmpl'}-{number}",
        model=model,
        chat=chat,
        words=words,
        output=output,
        finish="length" if output == most else "stop",
        stream=bool(body.get("stream")),
        usage=isinstance(options, dict) and bool(options.get("include_usage")),
    )


def prompt_words(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The words of a prompt or of a chat's messages; at least one.

    Raises:
        RefusedError: there is no such text.
    """
    messages, prompt = body.get("messages"), body.get("prompt")
    if isinstance(messages, list) and messages and all(isinstance(one, dict) for one in messages):
        text = " ".join(str(one.get("content", "")) for one in messages)
    elif isinstance(prompt, list) and prompt and all(isinstance(one, int) for one in prompt):
        text = " ".join(map(str, prompt))
    elif isinstance(prompt, list) and len(prompt) == 1:
        text = str(prompt[0])
    elif isinstance(prompt, str):
        text = prompt
    else:
        raise RefusedError(400, "give messages, or one prompt: a text or a list of tokens")
    return tuple(text.split()) or ("",)


def prefix_blocks(words: tuple[str, ...], size: int) -> tuple[int, ...]:
    """A hash for each full block of ``size`` words, each of all words up to its end."""
    found, running = [], 0
    for start in range(0, len(words) - size + 1, size):
        running = zlib.crc32("\0".join(words[start : start + size]).encode(), running)
        found.append(running)
    return tuple(found)


def whole_answer(made: Generation) -> dict[str, Any]:
    """The answer that is not streamed."""
    return {**_frame(made, _choice(made, WORD * made.output, made.finish, whole=True)), "usage": _usage(made)}


def stream_events(made: Generation) -> Iterator[bytes]:
    """What is sent with each token, in order; the end of the stream comes with the last."""
    role = event(_frame(made, {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}))
    middle = event(_frame(made, _choice(made, WORD, None)))
    last = event(_frame(made, _choice(made, WORD, made.finish)))
    usage = event({**_frame(made, None), "usage": _usage(made)}) if made.usage else b""
    for number in range(made.output):
        before = role if made.chat and number == 0 else b""
        final = number == made.output - 1
        yield before + (last + usage + b"data: [DONE]\n\n" if final else middle)


def event(message: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(message).encode() + b"\n\n"


def _frame(made: Generation, choice: dict[str, Any] | None) -> dict[str, Any]:
    kind = "chat.completion" if made.chat else "text_completion"
    return {
        "id": made.id,
        "object": f"{kind}.chunk" if made.chat and made.stream else kind,
        "model": made.model,
        "system_fingerprint": "simulated",
        "choices": [choice] if choice else [],
    }


def _choice(made: Generation, text: str, finish: str | None, whole: bool = False) -> dict[str, Any]:
    if not made.chat:
        return {"index": 0, "text": text, "finish_reason": finish}
    said = {"role": "assistant", "content": text} if whole else {"content": text}
    return {"index": 0, "message" if whole else "delta": said, "finish_reason": finish}


def _usage(made: Generation) -> dict[str, int]:
    prompt = len(made.words)
    return {"prompt_tokens": prompt, "completion_tokens": made.output, "total_tokens": prompt + made.output}


def _tokens(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedError(400, f"{name} must be a whole number, not {value!r}")
    return value


def _natural_length(words: tuple[str, ...], seed: int) -> int:
    """Where the model would end by itself: the same for the same prompt."""
    rng = random.Random(zlib.crc32(" ".join(words).encode(), seed & 0xFFFFFFFF))
    return 1 + int(rng.expovariate(1 / NATURAL_TOKENS))
