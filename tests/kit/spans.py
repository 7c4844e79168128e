"""Spans as tests see them: recorded in this process, or read from the file of a worker process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A finished span; of its links, those to spans of its own trace also apart."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: Mapping[str, Any]
    status: str
    error: str | None
    links: list[str]
    links_within: list[str]
    text: str = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        """Return an attribute of the bridge's, or None."""
        return self.attributes.get(f"dapr_bridge.{name}")

    def is_named_by(self, traceparent: str) -> bool:
        """Whether it is the parent that a W3C `traceparent` names."""
        return traceparent.split("-")[1:3] == [self.trace_id, self.span_id]


@dataclass(frozen=True)
class Recorder:
    """What records the spans of this process."""

    exporter: InMemorySpanExporter
    provider: TracerProvider

    def seen(self) -> list[Seen]:
        """Return the finished spans, in the order of their ends."""
        return [_seen(span.to_json(indent=None)) for span in self.exporter.get_finished_spans()]

    def named(self, name: str) -> list[Seen]:
        """Return the finished spans of a name."""
        return [each for each in self.seen() if each.name == name]

    def one(self, name: str) -> Seen:
        """Return the only finished span of a name."""
        (span,) = self.named(name)
        return span


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Record the spans of this process, and of nothing that runs in it later."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "get_tracer", provider.get_tracer)
        yield Recorder(exporter, provider)


def record_to_file(path: str) -> None:
    """Write each finished span of this process into a file, one a line."""
    exporter = ConsoleSpanExporter(
        out=Path(path).open("a", encoding="utf-8"),  # noqa: SIM115 - as long as the process lives
        formatter=lambda span: f"{span.to_json(indent=None)}\n",
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def read_spans(path: Path) -> list[Seen]:
    """Return the spans that a process has written, in the order of their ends."""
    if not path.exists():
        return []
    return [_seen(line) for line in path.read_text().splitlines()]


def _id_of(link: Mapping[str, Any]) -> str:
    return str(link["context"]["span_id"]).removeprefix("0x")


def _seen(text: str) -> Seen:
    record = json.loads(text)
    return Seen(
        name=record["name"],
        trace_id=record["context"]["trace_id"].removeprefix("0x"),
        span_id=record["context"]["span_id"].removeprefix("0x"),
        parent_id=record["parent_id"].removeprefix("0x") if record["parent_id"] else None,
        attributes=record["attributes"],
        status=record["status"]["status_code"],
        error=record["attributes"].get("error.type"),
        links=[_id_of(each) for each in record["links"]],
        links_within=[
            _id_of(each) for each in record["links"] if each["context"]["trace_id"] == record["context"]["trace_id"]
        ],
        text=text,
    )
