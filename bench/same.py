"""Whether two sets of templates say the same."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_PROSE = ("Description", "comment")
"""How keys end whose values are sentences for people: another wording is the same work."""
_SHOWN = 60
"""Characters of a value that a message shows."""


class Size(NamedTuple):
    """How much an application is."""

    stacks: int
    resources: int
    types: int


def size(templates: Mapping[str, Any]) -> Size:
    """Count stacks, resources and types of resources."""
    types = Counter(
        resource["Type"]
        for template in templates.values()
        for resource in template.get("Resources", {}).values()
    )
    return Size(len(templates), types.total(), len(types))


def difference(ours: Any, theirs: Any) -> str | None:
    """Say where two values first differ, or None when they mean the same."""
    return next(_differences(normal(ours), normal(theirs), ""), None)


def normal(value: Any) -> Any:
    """Reduce a value to what it means.

    JSON inside a string is data, however it is spaced, and prose is there or not.
    """
    match value:
        case dict():
            return {
                key: "prose" if key.endswith(_PROSE) and isinstance(part, str) else normal(part)
                for key, part in value.items()
            }
        case list():
            return [normal(part) for part in value]
        case str() if value.startswith(("{", "[")):
            try:
                return {"JSON": normal(json.loads(value))}
            except json.JSONDecodeError:
                return value
    return value


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours | theirs:
            place = f"{path} > {key}" if path else str(key)
            if key not in theirs:
                yield f"{place} is in ours only"
            elif key not in ours:
                yield f"{place} is in the peer only"
            else:
                yield from _differences(ours[key], theirs[key], place)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(left, right, f"{path}[{number}]")
    elif ours != theirs:
        yield f"{path} is {_short(ours)} in ours and {_short(theirs)} in the peer"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
