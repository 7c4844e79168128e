"""Phrases that speak for a label, and how a label is chosen from several."""

import re
from collections.abc import Mapping, Sequence

from seed.offline_model.rules.words import stems

Phrases = Mapping[str, float]

# Labels by the names that people give them; a phrase counts once, with its weight.
_LABELS: Mapping[str, Phrases] = {
    "critical": {
        "production is down": 4, "production down": 4, "is down": 3, "are down": 3, "outage": 4, "data loss": 4,
        "lost data": 4, "losing data": 4, "security breach": 4, "all users": 3, "all customers": 3, "everyone": 2,
        "nobody can": 3, "completely down": 4, "emergency": 3, "losing money": 4, "losing orders": 4,
        "corrupted": 3, "total failure": 4, "nothing works": 4,
    },
    "high": {
        "production": 2, "urgent": 2, "asap": 2, "as soon as possible": 2, "crash": 2, "crashes": 2, "crashing": 2,
        "crashloopbackoff": 2, "blocked": 2, "failing": 2, "fails": 1, "fail": 1, "failed": 1, "lost": 1, "timeout": 1,
        "timeouts": 1, "times out": 1, "timing out": 1, "refused": 1, "unreachable": 1, "cannot": 1, "error": 1,
        "errors": 1, "customers are": 2, "deadline": 1, "broken": 1, "stuck": 1, "not working": 1,
    },
    "medium": {"sometimes": 1, "intermittent": 1, "intermittently": 1, "slow": 1, "warning": 1, "staging": 2},
    "low": {
        "how do i": 2, "how can i": 2, "how to": 1, "wondering": 2, "question about": 1, "documentation": 1,
        "typo": 2, "feature request": 3, "curious": 2, "no rush": 5, "no hurry": 5, "not urgent": 5, "low priority": 5,
        "when you have time": 4, "nice to have": 3, "best practice": 1, "recommend": 1, "development": 1,
    },
    "connectivity": {
        "connect": 3, "connection": 3, "connectivity": 4, "refused": 3, "unreachable": 3, "unavailable": 2, "reach": 2,
        "timeout": 3, "timed out": 3, "times out": 3, "deadline": 2, "network": 3, "dns": 3, "resolve": 2, "tls": 2,
        "mtls": 3, "certificate": 2, "handshake": 3, "firewall": 3, "port": 2, "socket": 2, "reset": 2, "dial": 2,
        "disconnect": 3, "invocation": 2, "invoke": 2, "broker": 1, "latency": 2, "placement": 1, "proxy": 2,
    },
    "configuration": {
        "configure": 3, "configuration": 4, "config": 3, "yaml": 3, "setting": 2, "component": 2, "metadata": 2,
        "secret": 3, "scope": 3, "namespace": 2, "annotation": 3, "environment variable": 2, "permission": 2,
        "helm": 2, "manifest": 2, "invalid": 2, "missing": 1, "how do i": 1, "policy": 2, "resiliency": 2,
        "enable": 1, "option": 1, "not found": 1, "parameter": 2, "crd": 2, "subscription": 2, "register": 1,
    },
    "compatibility": {
        "version": 3, "upgrade": 4, "upgraded": 4, "upgrading": 4, "incompatible": 4, "compatible": 4,
        "compatibility": 4, "deprecated": 3, "sdk": 3, "mismatch": 3, "migrate": 3, "migration": 3, "breaking": 3,
        "release": 2, "no longer": 2, "downgrade": 3, "update": 2, "updated": 2, "since the update": 4,
        "removed": 2, "supported": 2, "unsupported": 3, "newer": 2, "older": 2, "alpha": 1, "beta": 1,
    },
}  # fmt: skip
AREAS = ("connectivity", "configuration", "compatibility")
_FALLBACKS = ("other", "unknown", "none", "medium", "normal", "neutral")
_SEVERITIES = ("critical", "high", "medium", "low")
_LOW_WINS = 4.0


def phrases_of(label: str) -> Phrases:
    """Return the phrases that speak for a label; for a label that has none, its own words."""
    known = _LABELS.get(label.lower())
    return known if known is not None else {word: 2.0 for word in re.split(r"[\W_]+", label.lower()) if len(word) > 2}


def score_label(label: str, text: str) -> float:
    """Add up the weights of a label's phrases that a text contains."""
    lowered, text_stems = f" {' '.join(text.lower().split())} ", stems([text])
    return sum(weight for phrase, weight in phrases_of(label).items() if _occurs(phrase, lowered, text_stems))


def choose_label(labels: Sequence[str], text: str) -> str:
    """Return the label that a text speaks for most clearly, or the one that stands for not knowing."""
    if set(_SEVERITIES) & {label.lower() for label in labels}:
        return _choose_severity(labels, text)
    scores = {label: score_label(label, text) for label in labels if label.lower() not in _FALLBACKS}
    best = max(scores, key=lambda label: scores[label], default=None)
    return best if best is not None and scores[best] > 0 else _fallback(labels)


def _choose_severity(labels: Sequence[str], text: str) -> str:
    by_name = {label.lower(): label for label in labels}
    scores = {name: score_label(name, text) for name in _SEVERITIES if name in by_name}
    if scores.get("low", 0) >= _LOW_WINS:
        return by_name["low"]
    needed = {"critical": 3.0, "high": 2.0, "low": 2.0}
    for name in ("critical", "high", "low"):
        if scores.get(name, 0) >= needed[name]:
            return by_name[name]
    return _fallback(labels)


def _fallback(labels: Sequence[str]) -> str:
    by_name = {label.lower(): label for label in labels}
    return next((by_name[name] for name in _FALLBACKS if name in by_name), labels[0])


def _occurs(phrase: str, lowered: str, text_stems: set[str]) -> bool:
    if " " in phrase:
        return phrase in lowered
    return bool(stems([phrase]) & text_stems)
