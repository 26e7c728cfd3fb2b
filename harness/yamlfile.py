"""YAML read strictly, into the same tables, texts, numbers, truths and lists that a TOML file gives.

Scalars are those of YAML 1.2's core schema: `off` and `no` are texts, and 1e-3 is a number. PyYAML's own rules are YAML 1.1,
where `compile: off` would be false and `lr: 1e-3` a text. A key that stands twice is an error, as it is in TOML.
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import Any

RESOLVED = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.inf|\.nan)$",
        "-+.0123456789",
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
)


DEEPEST = 256
MOST_VALUES = 100_000
"""A document that comes to more, with what its aliases repeat, is none that a person wrote."""


def parse(text: str) -> dict[str, Any]:
    """The document's table. Raises ValueError in one sentence that says where."""
    import yaml

    if _brackets_deep(text) > DEEPEST:  # each open bracket would make every word below it slower to read
        raise ValueError("its lists or tables are nested too deep")
    try:
        found = yaml.load(text, _loader())
    except yaml.YAMLError as problem:
        raise ValueError(" ".join(str(problem).split())) from problem
    except RecursionError as problem:
        raise ValueError("its lists or tables are nested too deep") from problem
    except (
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
        OverflowError,
    ) as problem:  # of a tag such as `!!bool maybe`
        raise ValueError(f"a value does not fit the tag before it ({type(problem).__name__}: {problem})") from problem
    if not isinstance(found, dict):
        raise ValueError(f"the document must be a table of keys, found {type(found).__name__}")
    if _size(found, {}) > MOST_VALUES:
        raise ValueError(f"with what its aliases (*) repeat it comes to more than {MOST_VALUES} values")
    return found


def _brackets_deep(text: str) -> int:
    """How many brackets are open at most, those in texts and comments counted too."""
    steps = (1 if sign in "[{" else -1 for sign in text if sign in "[]{}")
    return max(itertools.accumulate(steps), default=0)


def _size(value: Any, known: dict[int, float]) -> float:
    """Values in `value`, each as often as it would be printed; infinite where a list or table holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


@cache
def _loader() -> Any:
    """PyYAML's SafeLoader with the scalars above, and without repeated keys."""
    import yaml

    base: Any = yaml.SafeLoader

    class Strict(base):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys: set[str] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} must be a text", key_node.start_mark
                    )
                if key in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} stands twice", key_node.start_mark
                    )
                keys.add(key)
            made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return made

    for tag, pattern, first in RESOLVED:
        begins = ["" if letter == "\0" else letter for letter in first]
        Strict.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), begins)
    return Strict
