"""What CloudFormation knows about each resource type: the provider schemas that cfn-lint carries.

They say which properties exist, which are required and which replace the resource when they
change, so the twin refuses what AWS would refuse.
"""

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
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

    def check(self, properties: Mapping[str, Any], logical_id: str) -> None:
        """Refuse unknown and missing properties, at any depth; functions may still be in them.

        Raises:
            TemplateError: The first problem, with the property's path.
        """
        for problem in self._problems(properties, self.document, f"{logical_id} ({self.type})"):
            raise TemplateError(problem)

    def _problems(self, value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        schema = self._resolved(schema)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._problems(item, schema["items"], f"{path}.{index}")
        elif isinstance(value, dict) and "properties" in schema and not is_function(value):
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
