"""What CloudFormation knows about each resource type: the provider schemas that cfn-lint carries.

They say which properties exist, which are required and which replace the resource when they
change, so the twin refuses what AWS would refuse.
"""

import functools
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standby.assembly.intrinsics import TemplateError, is_function

REGION = "eu-west-2"
"""The schemas differ between regions only by what is offered there, not by their properties."""


@dataclass(frozen=True)
class ResourceSchema:
    """The schema of one resource type."""

    type: str
    document: Mapping[str, Any]

    def replaced(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Say whether a change of properties takes a new resource in place of the old one."""
        pointers = self.document.get("createOnlyProperties", ())
        paths = [pointer.removeprefix("/properties/").split("/") for pointer in pointers]
        return any(_at(before, path) != _at(after, path) for path in paths)

    @property
    def taggable(self) -> bool:
        """Say whether the tags of a stack reach its resources of this type."""
        return bool((self.document.get("tagging") or {}).get("taggable"))

    def check(self, properties: Mapping[str, Any], logical_id: str) -> None:
        """Refuse unknown and missing properties and values of a wrong type, at any depth.

        Functions may still be in them; what they come to is checked once it is known.

        Raises:
            TemplateError: The first problem, with the property's path.
        """
        for problem in self._problems(properties, self.document, f"{logical_id} ({self.type})"):
            raise TemplateError(problem)

    def normalized(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Give properties with booleans and numbers that are written as text as what they are."""
        found: dict[str, Any] = self._normalized(dict(properties), self.document)
        return found

    def _normalized(self, value: Any, schema: Mapping[str, Any]) -> Any:
        schema = self._resolved(schema)
        if isinstance(value, list) and "items" in schema:
            return [self._normalized(item, schema["items"]) for item in value]
        if isinstance(value, dict) and not is_function(value):
            known = schema.get("properties", {})
            return {k: self._normalized(v, known.get(k, {})) for k, v in value.items()}
        kind = schema.get("type")
        if (
            isinstance(value, str)
            and isinstance(kind, str)
            and kind in _READ
            and _FITS[kind](value)
        ):
            return _READ[kind](value)
        return value

    def _problems(self, value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        schema = self._resolved(schema)
        if is_function(value) or (isinstance(value, str) and "{{resolve:" in value):
            return
        kinds = schema.get("type", ())
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        if kinds and not any(_FITS[kind](value) for kind in kinds):
            yield f"{path}: expected type: {' or '.join(kinds)}, found: {json.dumps(value)}"
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._problems(item, schema["items"], f"{path}.{index}")
        elif isinstance(value, dict) and "properties" in schema:
            known = schema["properties"]
            for name, item in value.items():
                if name in known:
                    yield from self._problems(item, known[name], f"{path}.{name}")
                elif schema.get("additionalProperties") is False:
                    yield f"{path}: unknown property {name!r}"
            for name in schema.get("required", ()):
                if name not in value:
                    yield f"{path}: required property {name!r} is missing"

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            definition = schema["$ref"].removeprefix("#/")
            schema = functools.reduce(
                lambda node, key: node[key], definition.split("/"), self.document
            )
        return schema


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: str(value).lower() in {"true", "false"},
    "integer": lambda value: (number := _number(value)) is not None and number.is_integer(),
    "number": lambda value: _number(value) is not None,
    "object": lambda value: isinstance(value, dict),
    "string": _is_scalar,
}
"""Which values CloudFormation takes for a type: scalars may be written as text, or as numbers."""
_READ: Mapping[str, Callable[[str], Any]] = {
    "boolean": lambda text: text.lower() == "true",
    "integer": lambda text: int(float(text)),
    "number": float,
}
"""How text becomes a value of a type that it fits."""


def _at(value: Any, path: list[str]) -> Any:
    """Follow a path into properties, as far as it names no items of a list."""
    for key in path:
        if not isinstance(value, Mapping):
            return value
        value = value.get(key)
    return value


@functools.cache
def _index() -> tuple[Path, Mapping[str, str]]:
    spec = importlib.util.find_spec("cfnlint")  # found, not imported: cfn-lint is heavy
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("cfn-lint is not installed")
    schemas = Path(spec.submodule_search_locations[0]) / "data" / "schemas"
    index = json.loads((schemas / "providers" / f"{REGION}.json").read_text(encoding="utf-8"))
    return schemas / "resources", index


@functools.cache
def resource_schema(type_name: str) -> ResourceSchema:
    """Give the schema of a resource type.

    Raises:
        TemplateError: CloudFormation has no such type.
    """
    folder, index = _index()
    if type_name not in index:
        raise TemplateError(f"CloudFormation has no resource type {type_name!r}")
    text = (folder / f"{index[type_name]}.json").read_text(encoding="utf-8")
    return ResourceSchema(type_name, json.loads(text))
