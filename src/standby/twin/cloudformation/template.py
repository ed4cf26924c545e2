"""A template as CloudFormation reads it, and the scope its functions are evaluated in."""

import graphlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from standby.assembly.intrinsics import TemplateError, condition_holds, evaluate, references

SECTIONS = frozenset(
    [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Mappings",
        "Rules",
        "Conditions",
        "Transform",
        "Resources",
        "Outputs",
    ]
)
RESOURCE_KEYS = frozenset(
    [
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "Metadata",
        "CreationPolicy",
        "UpdatePolicy",
        "DeletionPolicy",
        "UpdateReplacePolicy",
    ]
)
FROM_SSM = "AWS::SSM::Parameter::Value<"
"""How the types begin whose input is the name of a Systems Manager parameter."""
POLICIES = ("CreationPolicy", "UpdatePolicy")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: ``!Ref x``, ``!GetAtt a.b``, ``!Sub ...``."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TemplateError(f"Template format error: !{suffix} of {node.tag}")
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@dataclass(frozen=True)
class Template:
    """A parsed template; ``body`` is its text as it was submitted."""

    body: str
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, body: str) -> "Template":
        """Read JSON or YAML.

        Raises:
            TemplateError: The text is neither, or not a template.
        """
        try:
            document = (
                json.loads(body) if body.lstrip().startswith("{") else yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader
            )
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise TemplateError(f"Template format error: {error}") from None
        if not isinstance(document, dict) or not isinstance(document.get("Resources", {}), dict):
            raise TemplateError("Template format error: a template is a mapping with Resources")
        for section in ("Parameters", "Mappings", "Conditions", "Outputs"):
            if not isinstance(document.get(section) or {}, dict):
                raise TemplateError(f"Template format error: {section} is no mapping")
        if not document.get("Resources"):
            raise TemplateError(
                "Template format error: At least one Resources member must be defined."
            )
        if unknown := set(document) - SECTIONS:
            raise TemplateError(f"Invalid template property or properties {sorted(unknown)}")
        if document.get("Transform"):
            raise TemplateError(f"the twin runs no transforms: {document['Transform']}")
        for name, definition in document.get("Resources", {}).items():
            if not isinstance(definition, dict) or not isinstance(definition.get("Type"), str):
                raise TemplateError(f"Template format error: resource {name!r} has no Type")
            if unknown := set(definition) - RESOURCE_KEYS:
                raise TemplateError(f"Invalid template resource property {min(unknown)!r}")
        return cls(body, document)

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        """The resource definitions by logical id."""
        found: Mapping[str, Mapping[str, Any]] = self.document.get("Resources") or {}
        return found

    @cached_property
    def order(self) -> Sequence[str]:
        """The logical ids, each after what it depends on.

        Raises:
            TemplateError: A circular dependency, or a reference to nothing.
        """
        graph: dict[str, set[str]] = {}
        for name, definition in self.resources.items():
            explicit = definition.get("DependsOn", [])
            if not isinstance(explicit, str | list):
                raise TemplateError(f"Template format error: DependsOn of {name!r} is no list")
            wanted = {explicit} if isinstance(explicit, str) else set(explicit)
            wanted |= {target for target, _ in references(dict(definition))}
            self._resolve(wanted, f"Resources block of the template ({name})")
            graph[name] = wanted & set(self.resources)
        outputs = references(self.document.get("Outputs") or {})
        self._resolve({target for target, _ in outputs}, "Outputs block of the template")
        try:
            return tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise TemplateError(
                f"Circular dependency between resources: [{', '.join(error.args[1])}]"
            ) from None

    def _resolve(self, targets: Iterable[str], place: str) -> None:
        known = {*self.resources, *(self.document.get("Parameters") or {})}
        for target in targets:
            if target not in known and not target.startswith("AWS::"):
                raise TemplateError(
                    f"Template format error: Unresolved resource dependencies [{target}] "
                    f"in the {place}"
                )

    def parameter_inputs(
        self, given: Iterable[Mapping[str, Any]], previous: Mapping[str, str]
    ) -> dict[str, str]:
        """Give every parameter its input: given, kept from before, or default.

        Raises:
            TemplateError: A parameter without a value, or a value for none.
        """
        declared = self.document.get("Parameters") or {}
        values: dict[str, str] = {}
        for entry in given:
            name = entry["ParameterKey"]
            if name not in declared:
                raise TemplateError(f"Parameters: [{name}] do not exist in the template")
            if entry.get("UsePreviousValue"):
                if name in previous:
                    values[name] = previous[name]
            else:
                values[name] = entry.get("ParameterValue", "")
        for name, declaration in declared.items():
            if name not in values and "Default" in declaration:
                values[name] = str(declaration["Default"])
            if name not in values:
                raise TemplateError(f"Parameters: [{name}] must have values")
            _check_input(name, values[name], declaration)
        return values

    def parameter_values(
        self, inputs: Mapping[str, str], from_ssm: Callable[[str], str]
    ) -> dict[str, Any]:
        """Give every parameter's value: its input, looked up and split as its type says."""
        declared = self.document.get("Parameters") or {}
        return {
            name: _typed(value, declared[name].get("Type", "String"), from_ssm)
            for name, value in inputs.items()
        }


def _check_input(name: str, value: str, declaration: Mapping[str, Any]) -> None:
    """Hold an input against what its parameter's declaration demands.

    Raises:
        TemplateError: It does not fit; the declaration may say why.
    """
    allowed, pattern = declaration.get("AllowedValues"), declaration.get("AllowedPattern")
    problem = ""
    if allowed and value not in map(str, allowed):
        problem = f"must be one of AllowedValues: {', '.join(map(str, allowed))}"
    elif pattern and not re.fullmatch(pattern, value):
        problem = f"must match pattern {pattern}"
    elif len(value) < int(declaration.get("MinLength", 0)):
        problem = f"must contain at least {declaration['MinLength']} characters"
    elif len(value) > int(declaration.get("MaxLength", len(value))):
        problem = f"must contain at most {declaration['MaxLength']} characters"
    elif declaration.get("Type") == "Number":
        problem = _check_number(value, declaration)
    if problem:
        said = declaration.get("ConstraintDescription")
        raise TemplateError(
            f"Parameter '{name}' {f'failed to satisfy constraint: {said}' if said else problem}"
        )


def _check_number(value: str, declaration: Mapping[str, Any]) -> str:
    try:
        number = float(value)
    except ValueError:
        return "must be a number."
    if number < float(declaration.get("MinValue", number)):
        return f"must be a number not less than {declaration['MinValue']}"
    if number > float(declaration.get("MaxValue", number)):
        return f"must be a number not greater than {declaration['MaxValue']}"
    return ""


def _typed(value: str, kind: str, from_ssm: Callable[[str], str]) -> Any:
    if kind.startswith(FROM_SSM):
        value, kind = from_ssm(value), kind.removeprefix(FROM_SSM)[:-1]
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [part.strip() for part in value.split(",")]
    return value


@dataclass(frozen=True)
class Surroundings:
    """What a stack's functions may ask for beyond its own template."""

    region: str
    account: str
    stack_name: str
    stack_id: str
    export: Callable[[str], Any]
    stack_output: Callable[[str, str | None, str], Any]
    zones: Callable[[str], Sequence[str]]
    dynamic_reference: Callable[[str, str], str]


class StackScope:
    """The scope of one stack: parameters, pseudo parameters and the resources made so far.

    Args:
        attributes: Gives (Ref value, attributes) of a resource by logical id.
    """

    def __init__(
        self,
        template: Template,
        parameters: Mapping[str, Any],
        around: Surroundings,
        attributes: Callable[[str], tuple[str, Mapping[str, Any]]],
    ) -> None:
        self.mappings: Mapping[str, Any] = template.document.get("Mappings") or {}
        self.conditions: Mapping[str, Any] = template.document.get("Conditions") or {}
        self._template = template
        self._resource = attributes
        self.export = around.export
        self.stack_output = around.stack_output
        self.zones = around.zones
        self.dynamic_reference = around.dynamic_reference
        self._values = {
            "AWS::Region": around.region,
            "AWS::AccountId": around.account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": around.stack_name,
            "AWS::StackId": around.stack_id,
            "AWS::NotificationARNs": [],
            **parameters,
        }

    def ref(self, name: str) -> Any:
        """Give the value of a parameter, pseudo parameter or resource."""
        return self._values[name] if name in self._values else self._resource(name)[0]

    def attribute(self, resource: str, name: str) -> Any:
        """Give an attribute of a resource.

        Raises:
            TemplateError: The resource's type has no such attribute.
        """
        _, attributes = self._resource(resource)
        if name not in attributes:
            kind = self._template.resources[resource]["Type"]
            raise TemplateError(f"{resource} ({kind}) has no attribute {name!r} in the twin")
        return attributes[name]

    def included(self, name: str) -> bool:
        """Say whether a resource's condition lets it exist."""
        condition = self._template.resources[name].get("Condition")
        return condition is None or condition_holds(condition, self)

    def properties(self, name: str) -> dict[str, Any]:
        """Evaluate a resource's properties."""
        found: dict[str, Any] = evaluate(self._template.resources[name].get("Properties", {}), self)
        return found

    def policies(self, name: str) -> dict[str, Any]:
        """Evaluate a resource's creation and update policies."""
        definition = self._template.resources[name]
        return {key: evaluate(definition[key], self) for key in POLICIES if key in definition}

    def deletion_policy(self, name: str) -> str:
        """Say what becomes of a resource that leaves its stack."""
        definition = self._template.resources[name]
        of_cluster = "DBClusterIdentifier" in definition.get("Properties", {})
        is_database = definition["Type"] == "AWS::RDS::DBInstance" and not of_cluster
        default = "Snapshot" if is_database else "Delete"
        return str(evaluate(definition.get("DeletionPolicy", default), self))

    def replace_policy(self, name: str) -> str:
        """Say what becomes of a resource that another one replaces."""
        definition = self._template.resources[name]
        return str(evaluate(definition.get("UpdateReplacePolicy", "Delete"), self))

    def outputs(self) -> list[Mapping[str, str]]:
        """Evaluate the template's outputs."""
        found: list[Mapping[str, str]] = []
        for key, output in (self._template.document.get("Outputs") or {}).items():
            if "Condition" in output and not condition_holds(output["Condition"], self):
                continue
            entry = {"OutputKey": key, "OutputValue": str(evaluate(output["Value"], self))}
            if "Description" in output:
                entry["Description"] = output["Description"]
            if "Export" in output:
                entry["ExportName"] = str(evaluate(output["Export"]["Name"], self))
            found.append(entry)
        return found
