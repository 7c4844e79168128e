"""Read version numbers out of what programs say."""

import re

Version = tuple[int, ...]


def parse_version(text: str) -> Version | None:
    """Return the first version number in a text; None when there is none."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else None


def spell_version(version: Version | None) -> str:
    """Write a version as people do."""
    return ".".join(str(part) for part in version) if version else "of an unknown version"
