"""A synthesized cloud assembly as tests read it: plain templates by stack name."""

import json
from pathlib import Path
from typing import Any

Resource = dict[str, Any]


class Assembly(dict[str, dict[str, Any]]):
    """The templates of a cloud assembly by stack name, and its manifest and directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = json.loads((directory / "manifest.json").read_text())
        self.stacks = {
            artifact["properties"].get("stackName", id): artifact
            for id, artifact in self.manifest["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        }
        super().__init__(
            (name, json.loads((directory / stack["properties"]["templateFile"]).read_text()))
            for name, stack in self.stacks.items()
        )

    def find(self, ending: str, type: str) -> dict[str, Resource]:
        """Give the resources of a type, by logical id, in the stack whose name ends so."""
        (template,) = (t for name, t in self.items() if name.endswith(ending))
        return {
            id: resource
            for id, resource in template.get("Resources", {}).items()
            if resource["Type"] == type
        }

    def one(self, ending: str, type: str) -> Resource:
        """Give the properties of the only resource of a type in a stack."""
        (resource,) = self.find(ending, type).values()
        return resource["Properties"]
