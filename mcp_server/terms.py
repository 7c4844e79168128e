"""Turn what a person wrote into the words worth searching for."""

import re

# A query beyond this many different words is a pasted document; its first words say what it is about.
MAX_TERMS = 64

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")

# Words that say nothing about the subject: grammar, courtesy, and what every support request says.
_IDLE_WORDS = """
a about after again all also am an and any anybody anyone are as at be because been before being but by can cannot cant
could d dear did didn do does doesn doing don done each else ever every everybody everyone few for from get gets getting
give given go goes going got had happen happened happening happens has hasn have haven having he hello help hers hi him
his how i if in into is isn issue issues it its itself just kind know let like ll looks m make makes many may me might
mine more most much must my myself need no nor not now of off oh ok okay on once one only or other our ours out over own
please possible problem problems question quite re really regards s same see seeing seem seems she should shouldn since
so some somehow someone something sometimes sort still such suddenly t take team tell than thank thanks that the their
them then there these they thing things this those though through to today too tried trouble try trying two under until
up upon us ve very via want wants was wasn way we well were weren what whatever when where whether which while who whom
whose why will with within without won would wouldn yes yesterday yet you your yours
"""
STOP_WORDS = frozenset(_IDLE_WORDS.split())


def significant_terms(query: str) -> tuple[str, ...]:
    """Return the different words of a query that carry meaning, lower-case, in the order they appear.

    Names are taken apart as the index takes them apart (`ERR_DIRECT_INVOKE`, `state.redis`); a camel-case name is
    kept whole and also given in parts, for an article may write either.
    """
    found: dict[str, None] = {}
    for word in _WORD.findall(query):
        parts = _CAMEL.sub(" ", word).split()
        candidates = [word] if len(parts) == 1 else [word, *parts]
        found.update((term, None) for term in map(str.lower, candidates) if _is_significant(term))
        if len(found) >= MAX_TERMS:
            break
    return tuple(found)[:MAX_TERMS]


def _is_significant(term: str) -> bool:
    is_lone_letter = len(term) == 1 and not term.isdigit() and term.isascii()
    return term not in STOP_WORDS and not is_lone_letter
