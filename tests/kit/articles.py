"""Small Markdown articles for tests of the knowledge base."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

KAFKA = """\
    ---
    id: KB-1
    title: Kafka refuses the connection
    category: connectivity
    tags: [kafka, sasl]
    versions: "1.15+"
    see_also: [KB-2]
    ---
    # Kafka refuses the connection

    ## Symptoms

    - `client has run out of available brokers`

    ## Cause

    The password is wrong.

    ## Fix

    Set `saslPassword`.
    """
ETAG = """\
    ---
    id: KB-2
    title: Two writers and one record
    category: configuration
    ---
    # Two writers and one record

    ## Symptoms

    An etag mismatch when saving.

    ## Solution

    Read again and repeat.
    """


def write_articles(folder: Path, **documents: str) -> Path:
    """Write documents under their names (`a__b` for `a/b.md`), without the indentation of the test."""
    for name, text in documents.items():
        path = folder / (name.replace("__", "/") + ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return folder
