"""JSON schemas that a client may ask an answer to have: sound, contradictory, and no schemas at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null", "nonsense", ["string"]])
_NUMBERS = st.integers(-5, 5) | st.sampled_from([0.1, -0.0, 1e308, 2**70, 5e-324, True, "1"])
_SCALARS = st.none() | st.booleans() | _NUMBERS | st.text(max_size=3)
_VALUES: st.SearchStrategy[Any] = _SCALARS | st.just([]) | st.just({})
_PATTERNS = st.sampled_from(
    ["^a+$", "(", "(?=a)b", "(a|b){2,900}", "[^\\x00]*", "\\p{L}", "(?i)x", "^(?!a)", "a{9999999}"]
)
_REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/properties/a", "other.json", "#/", "#a", "", 7])
_LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": _TYPES,
        "enum": st.lists(_VALUES, max_size=3),
        "const": _VALUES,
        "minimum": _NUMBERS,
        "exclusiveMaximum": _NUMBERS,
        "multipleOf": _NUMBERS,
        "minLength": _NUMBERS,
        "maxLength": _NUMBERS,
        "pattern": _PATTERNS,
        "format": st.sampled_from(["date-time", "uuid", "ipv6", "regex", "nonsense", 3]),
        "$ref": _REFERENCES,
    },
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, max_size=3)
    by_name = st.dictionaries(st.sampled_from(["a", "b", "", "é", '"', "\n"]), inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _TYPES,
            "properties": by_name,
            "patternProperties": st.dictionaries(_PATTERNS, inner, max_size=2),
            "required": st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
            "additionalProperties": st.booleans() | inner,
            "items": inner | several | st.booleans(),
            "prefixItems": several,
            "minItems": _NUMBERS,
            "maxItems": _NUMBERS,
            "anyOf": several,
            "allOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "$defs": by_name,
        },
    )


SCHEMAS = st.recursive(_LEAVES, _around, max_leaves=6)
