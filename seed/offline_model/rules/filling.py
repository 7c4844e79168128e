"""Fill a JSON schema from the conversation: labels by rules, statements from what was looked up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from seed.offline_model.rules.evidence import Claim, Kind, relevant_claims
from seed.offline_model.rules.lexicon import choose_label
from seed.offline_model.rules.prose import write_prose
from seed.offline_model.rules.reading import Reading, Record
from seed.offline_model.rules.summary import summarize
from seed.offline_model.rules.words import significant_words

_ID_NAME = re.compile(r"(?:^|_)ids?$|source|citation|reference", re.IGNORECASE)
_ACTION_NAME = re.compile(r"step|action|instruction|fix|solution|recommend|remed", re.IGNORECASE)
_ANSWER_NAME = re.compile(r"answer|solution|reply|response", re.IGNORECASE)
_WORD_LIST_NAME = re.compile(r"tag|keyword|term|topic", re.IGNORECASE)
_DOUBT_NAME = re.compile(r"needs|unknown|escalat|missing|unsure|unanswered|insufficient", re.IGNORECASE)
_FOUND_NAME = re.compile(r"found|known|answered|sufficient|resolved", re.IGNORECASE)
# A schema may refer to itself; deeper than this nothing sensible is meant.
_MAX_DEPTH = 12


def fill_schema(schema: Record, reading: Reading) -> JsonValue:
    """Return a value that follows the schema and says only what the conversation says."""
    filler = _Filler(root=schema, reading=reading, claims=tuple(relevant_claims(reading)))
    return filler.fill(schema, name="", claim=None, depth=0)


@dataclass(frozen=True, kw_only=True)
class _Filler:
    root: Record
    reading: Reading
    claims: tuple[Claim, ...]

    def fill(self, schema: JsonValue, *, name: str, claim: Claim | None, depth: int) -> JsonValue:
        known = self._resolve(schema)
        if "const" in known:
            return known["const"]
        options = known.get("enum")
        if isinstance(options, list) and options:
            return self._choose(options)
        match _type_of(known):
            case "object":
                return self._fill_object(known, claim=claim, depth=depth)
            case "array":
                return self._fill_array(known, name=name, claim=claim, depth=depth)
            case "boolean":
                return self._decide(name)
            case "integer":
                return int(self._count(known, name))
            case "number":
                return self._count(known, name)
            case "null":
                return None
            case _:
                return _fit(self._say(name, claim), known)

    def _resolve(self, schema: JsonValue) -> Record:
        """Follow references and take the first alternative that is not null."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                return {}
            reference, alternatives = schema.get("$ref"), _alternatives(schema)
            if isinstance(reference, str):
                schema = self._look_up(reference)
            elif options := _options_of(alternatives):
                return {"enum": options}
            elif alternatives:
                schema = next((item for item in alternatives if _type_of(item) != "null"), alternatives[0])
            else:
                return schema
        return {}

    def _look_up(self, reference: str) -> JsonValue:
        found: JsonValue = self.root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part) if isinstance(found, dict) and part else found
        return found

    def _choose(self, options: Sequence[JsonValue]) -> JsonValue:
        labels = [option for option in options if isinstance(option, str)]
        return choose_label(labels, self.reading.subject) if labels else options[0]

    def _fill_object(self, schema: Record, *, claim: Claim | None, depth: int) -> Record:
        properties = schema.get("properties")
        if depth >= _MAX_DEPTH or not isinstance(properties, dict):
            return {}
        return {key: self.fill(item, name=key, claim=claim, depth=depth + 1) for key, item in properties.items()}

    def _fill_array(self, schema: Record, *, name: str, claim: Claim | None, depth: int) -> list[JsonValue]:
        items, least, most = (
            self._resolve(schema.get("items")),
            _number(schema, "minItems"),
            _number(schema, "maxItems"),
        )
        if depth >= _MAX_DEPTH:
            return []
        if _type_of(items) == "string" and "enum" not in items:
            values = self._strings(name, claim)
        else:
            chosen = [claim] if claim else self._claims_for(name)
            values = [self.fill(items, name=name, claim=one, depth=depth + 1) for one in chosen]
        while len(values) < (least or 0):
            values.append(self.fill(items, name=name, claim=claim, depth=depth + 1))
        return values[: None if most is None else int(most)]

    def _strings(self, name: str, claim: Claim | None) -> list[JsonValue]:
        claims = [claim] if claim else list(self.claims)
        if _ID_NAME.search(name):
            return [*dict.fromkeys(one.source_id for one in claims)]
        if _WORD_LIST_NAME.search(name):
            return [*significant_words(self.reading.subject)[:5]]
        return [one.markdown for one in ([claim] if claim else self._claims_for(name))]

    def _claims_for(self, name: str) -> list[Claim]:
        wanted: Kind = "action" if _ACTION_NAME.search(name) else "explanation"
        return [claim for claim in self.claims if claim.kind == wanted] or list(self.claims)

    def _say(self, name: str, claim: Claim | None) -> str:
        if claim:
            if _ID_NAME.search(name):
                return claim.source_id
            if name == "title":
                return claim.title
            return claim.markdown if claim.kind == "action" else claim.text
        if _ANSWER_NAME.search(name):
            return write_prose(self.reading)
        return summarize(self.reading.subject)

    def _decide(self, name: str) -> bool:
        if _DOUBT_NAME.search(name):
            return not self.claims
        return bool(self.claims) and bool(_FOUND_NAME.search(name))

    def _count(self, schema: Record, name: str) -> float:
        least, most = _number(schema, "minimum"), _number(schema, "maximum")
        value = float(len(self.claims)) if "count" in name else (least or 0.0)
        return min(value, most) if most is not None else value


def _type_of(schema: JsonValue) -> str:
    if not isinstance(schema, dict):
        return "string"
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "string"


def _alternatives(schema: Record) -> list[JsonValue]:
    for key in ("anyOf", "oneOf", "allOf"):
        found = schema.get(key)
        if isinstance(found, list) and found:
            return found
    return []


def _options_of(alternatives: Sequence[JsonValue]) -> list[JsonValue]:
    """Return all labels when every alternative is a set of them."""
    options: list[JsonValue] = []
    for item in alternatives:
        labels = item.get("enum", [item["const"]] if "const" in item else None) if isinstance(item, dict) else None
        if not isinstance(labels, list):
            return []
        options += labels
    return options


def _number(schema: Record, key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) else None


def _fit(text: str, schema: Record) -> str:
    most = _number(schema, "maxLength")
    return text if most is None or len(text) <= most else text[: int(most)]
