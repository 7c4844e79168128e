"""Answers in OpenAI's wire format, whole and as a stream of chunks."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from pydantic import JsonValue

MODEL_NAME = "offline-support"
# A fixed moment: the same request gets the same answer, byte for byte.
CREATED = 1_767_225_600

Body = dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call that the model asks for."""

    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says: text, or tool calls."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()

    def cut_off(self) -> "Answer":
        """Return the answer broken off half way."""
        calls = tuple(replace(call, arguments=_first_half(call.arguments)) for call in self.tool_calls)
        return Answer(text=_first_half(self.text), tool_calls=calls)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer with the identity and token counts that go with it."""

    answer: Answer
    prompt: str

    @property
    def id(self) -> str:
        """An id that depends on the prompt and the answer alone."""
        return "chatcmpl-" + sha256(f"{self.prompt}\0{self.answer}".encode()).hexdigest()[:24]

    def body(self) -> Body:
        """Return the answer as one JSON object."""
        choice: Body = {"index": 0, "message": self._message(), "logprobs": None, "finish_reason": self._finish()}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def chunks(self, *, include_usage: bool) -> Iterator[Body]:
        """Yield the answer as the chunks of a stream."""
        yield self._chunk({"role": "assistant", "content": None if self.answer.tool_calls else ""})
        for delta in self._deltas():
            yield self._chunk(delta)
        yield self._chunk({}, finish=self._finish())
        if include_usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}

    def _deltas(self) -> Iterator[Body]:
        for piece in re.findall(r"\s*\S+\s*", self.answer.text):
            yield {"content": piece}
        for index, call in enumerate(self._calls()):
            yield {"tool_calls": [{"index": index, **call}]}

    def _message(self) -> Body:
        message: Body = {"role": "assistant", "content": self.answer.text or None, "refusal": None}
        calls: list[JsonValue] = [*self._calls()]
        return {**message, "tool_calls": calls} if calls else {**message, "content": self.answer.text}

    def _calls(self) -> list[Body]:
        return [
            {
                "id": f"call_{self.id[9:25]}_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(self.answer.tool_calls)
        ]

    def _finish(self) -> str:
        return "tool_calls" if self.answer.tool_calls else "stop"

    def _head(self, kind: str) -> Body:
        return {"id": self.id, "object": kind, "created": CREATED, "model": MODEL_NAME, "system_fingerprint": "offline"}

    def _chunk(self, delta: Body, *, finish: str | None = None) -> Body:
        choice: Body = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _usage(self) -> Body:
        said = self.answer.text + "".join(call.name + call.arguments for call in self.answer.tool_calls)
        prompt, completion = count_tokens(self.prompt), count_tokens(said)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def count_tokens(text: str) -> int:
    """Estimate tokens: about four characters each."""
    return -(-len(text) // 4)


def as_events(chunks: Iterator[Body]) -> Iterator[str]:
    """Write chunks as server-sent events, with the end mark that OpenAI clients wait for."""
    events = (f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return itertools.chain(events, ["data: [DONE]\n\n"])


def _first_half(text: str) -> str:
    return text[: len(text) // 2]
