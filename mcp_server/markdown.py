"""Take a Markdown document apart: front matter, title, sections. Pure text in, pure text out."""

import re
from collections.abc import Iterator

from mcp_server.models import Section

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"(?P<marks>#{1,6})[ \t]+(?P<text>.+?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})")

# A passage goes into a model's prompt: long enough for a fix with its YAML, short enough for several of them.
MAX_PASSAGE = 3000


def split_front_matter(document: str) -> tuple[str | None, str]:
    """Return the YAML between the opening `---` lines (None when there is none) and the rest."""
    found = _FRONT_MATTER.match(document)
    return (found["yaml"], document[found.end() :]) if found else (None, document)


def first_title(body: str) -> str | None:
    """Return the text of the first top-level heading."""
    return next((text for level, text, _ in _headed(body) if level == 1), None)


def split_sections(body: str, *, title: str) -> tuple[Section, ...]:
    """Cut a document at its headings; a nested heading is named with its parents, `Fix > On Kubernetes`."""
    sections: list[Section] = []
    trail: dict[int, str] = {}
    for level, heading, text in _headed(body):
        trail = {depth: name for depth, name in trail.items() if depth < level} | {level: heading}
        name = " > ".join(part for depth, part in sorted(trail.items()) if depth > 1)
        sections.extend(Section(heading=name or title, text=piece) for piece in split_long(text))
    return tuple(sections)


def split_long(text: str, *, limit: int = MAX_PASSAGE) -> Iterator[str]:
    """Cut text into pieces of at most `limit` characters, at blank lines outside code where that can be done."""
    piece = ""
    for block in _blocks(text):
        if piece and len(piece) + len(block) + 2 > limit:
            yield piece
            piece = ""
        piece = f"{piece}\n\n{block}" if piece else block
        while len(piece) > limit:
            yield piece[:limit]
            piece = piece[limit:]
    if piece:
        yield piece


def _headed(body: str) -> Iterator[tuple[int, str, str]]:
    """Yield (level, heading, text below it); what comes before the first heading has level 1 and no heading."""
    level, heading, lines = 1, "", list[str]()
    for line, in_code in _marked_lines(body):
        found = None if in_code else _HEADING.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        if heading or any(lines):
            yield level, heading, "\n".join(lines).strip()
        level, heading, lines = len(found["marks"]), found["text"], []
    if heading or any(lines):
        yield level, heading, "\n".join(lines).strip()


def _marked_lines(body: str) -> Iterator[tuple[str, bool]]:
    """Yield each line and whether it belongs to a fenced code block: a `#` there is a comment, not a heading."""
    fence = ""
    for line in body.splitlines():
        found = _FENCE.match(line)
        if not fence:
            fence = found["marks"] if found else ""
            yield line, bool(fence)
            continue
        yield line, True
        if found and found["marks"].startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""


def _blocks(text: str) -> Iterator[str]:
    block: list[str] = []
    for line, in_code in _marked_lines(text):
        if line.strip() or in_code:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)
