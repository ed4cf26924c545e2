"""CloudFormation's intrinsic functions, evaluated against a scope that knows the values.

`evaluate` replaces every function in a piece of a template by its value; a `Scope` answers
what only the surroundings know: resources, parameters, exports, other stacks' outputs.
Source: CloudFormation template reference, "Intrinsic function reference".
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

NO_VALUE = object()
"""What ``AWS::NoValue`` evaluates to: its key or list item is left out."""

_SUB = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")


class TemplateError(ValueError):
    """A template that CloudFormation would refuse: the message says what and why."""


class Scope(Protocol):
    """The surroundings of a template: one stack in one region."""

    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]

    def ref(self, name: str) -> Any:
        """Give the value of a parameter, pseudo parameter or resource."""

    def attribute(self, resource: str, name: str) -> Any:
        """Give an attribute of a resource (``Fn::GetAtt``)."""

    def export(self, name: str) -> Any:
        """Give the value that another stack of the region exports (``Fn::ImportValue``)."""

    def stack_output(self, stack: str, region: str | None, output: str) -> Any:
        """Give the output of a stack of any region (``Fn::GetStackOutput``)."""

    def zones(self, region: str) -> Sequence[str]:
        """Name the Availability Zones of a region (``Fn::GetAZs``)."""

    def dynamic_reference(self, service: str, key: str) -> str:
        """Give what ``{{resolve:service:key}}`` stands for."""


def evaluate(node: Any, scope: Scope) -> Any:
    """Give ``node`` with every intrinsic function and dynamic reference replaced by its value.

    Raises:
        TemplateError: A function is unknown or its argument malformed.
    """
    if isinstance(node, str):
        return _DYNAMIC.sub(lambda m: scope.dynamic_reference(m[1], m[2]), node)
    if isinstance(node, list):
        return [value for item in node if (value := evaluate(item, scope)) is not NO_VALUE]
    if not isinstance(node, dict):
        return node
    if function := _function_name(node):
        try:
            return _FUNCTIONS[function](node[function], scope)
        except KeyError as error:
            if function in _FUNCTIONS:
                raise TemplateError(f"{function} finds no {error} in {_brief(node)}") from None
            raise TemplateError(f"unknown function {function}: {_brief(node)}") from None
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, TemplateError):
                raise
            raise TemplateError(f"{function} cannot use {_brief(node)}: {error}") from None
    return {
        key: value for key, item in node.items() if (value := evaluate(item, scope)) is not NO_VALUE
    }


def condition_holds(name: str, scope: Scope) -> bool:
    """Say whether a template's condition holds.

    Raises:
        TemplateError: The template has no such condition, or it depends on itself.
    """
    if name not in scope.conditions:
        raise TemplateError(f"the template has no condition {name!r}")
    try:
        return bool(evaluate(scope.conditions[name], scope))
    except RecursionError:
        raise TemplateError(f"circular dependency of condition {name!r} on itself") from None


def references(node: Any) -> Iterator[tuple[str, str | None]]:
    """Name what a piece of a template refers to: (logical id, attribute or None for ``Ref``)."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        match node if is_function(node) else None:
            case {"Ref": str(name)}:
                yield name, None
            case {"Fn::GetAtt": str(path)}:
                resource, _, attribute = path.partition(".")
                yield resource, attribute
            case {"Fn::GetAtt": [str(resource), attribute]}:
                yield resource, attribute if isinstance(attribute, str) else None
            case {"Fn::Sub": str(text)}:
                yield from _sub_references(text, {})
            case {"Fn::Sub": [str(text), dict(variables)]}:
                yield from references(list(variables.values()))
                yield from _sub_references(text, variables)
            case _:
                for value in node.values():
                    yield from references(value)


def _sub_references(text: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for literal, name in _SUB.findall(text):
        if not literal and name.strip() not in variables:
            resource, _, attribute = name.strip().partition(".")
            yield resource, attribute or None


def is_function(node: Any) -> bool:
    """Say whether a piece of a template is an intrinsic function, not a literal."""
    return isinstance(node, dict) and _function_name(node) is not None


def _function_name(node: Mapping[str, Any]) -> str | None:
    if len(node) != 1:
        return None
    ((name, argument),) = node.items()
    if name == "Condition":  # an IAM statement may hold a mapping of this name
        return name if isinstance(argument, str) else None
    return name if name == "Ref" or name.startswith("Fn::") else None


def _brief(node: Any) -> str:
    text = json.dumps(node, default=str)
    return text if len(text) <= 120 else text[:117] + "..."


def _attribute_path(argument: Any) -> tuple[str, Any]:
    if isinstance(argument, str):
        resource, _, attribute = argument.partition(".")
        return resource, attribute
    resource, attribute = argument
    return resource, attribute


def _ref(name: str, scope: Scope) -> Any:
    return NO_VALUE if name == "AWS::NoValue" else scope.ref(name)


def _get_att(argument: Any, scope: Scope) -> Any:
    resource, attribute = _attribute_path(argument)
    return scope.attribute(resource, evaluate(attribute, scope))


def _sub(argument: Any, scope: Scope) -> str:
    text, variables = argument if isinstance(argument, list) else (argument, {})

    def value(match: re.Match[str]) -> str:
        literal, name = match[1], match[2].strip()
        if literal:
            return f"${{{name}}}"
        if name in variables:
            return _text(evaluate(variables[name], scope))
        resource, _, attribute = name.partition(".")
        return _text(scope.attribute(resource, attribute) if attribute else scope.ref(name))

    replaced = _SUB.sub(value, text)
    return str(evaluate(replaced, scope))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value)


def _join(argument: Any, scope: Scope) -> str:
    separator, items = argument
    joined = separator.join(_text(item) for item in evaluate(items, scope))
    return str(evaluate(joined, scope))  # CDK joins the pieces of a dynamic reference


def _select(argument: Any, scope: Scope) -> Any:
    index, items = evaluate(argument, scope)
    if isinstance(items, str):
        items = items.split(",")
    if not 0 <= int(index) < len(items):
        raise TemplateError(f"Fn::Select takes item {index} of {len(items)}: {_brief(items)}")
    return items[int(index)]


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, text = evaluate(argument, scope)
    return str(text).split(separator)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, top, second, *options = argument
    name, top, second = evaluate([name, top, second], scope)
    found = scope.mappings.get(name, {}).get(top, {})
    if second in found:
        return evaluate(found[second], scope)
    if options and "DefaultValue" in options[0]:
        return evaluate(options[0]["DefaultValue"], scope)
    raise TemplateError(f"Fn::FindInMap: the template maps no {name}.{top}.{second}")


def _if(argument: Any, scope: Scope) -> Any:
    name, then, otherwise = argument
    return evaluate(then if condition_holds(name, scope) else otherwise, scope)


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = evaluate(argument, scope)
    return _text(left) == _text(right)


def _cidr(argument: Any, scope: Scope) -> list[str]:
    block, count, *bits = evaluate(argument, scope)
    network = ipaddress.ip_network(block)
    prefix = network.max_prefixlen - int(bits[0] if bits else 8)
    subnets = network.subnets(new_prefix=prefix)
    return [str(next(subnets)) for _ in range(int(count))]


def _stack_output(argument: Mapping[str, Any], scope: Scope) -> Any:
    found = evaluate(dict(argument), scope)
    return scope.stack_output(found["StackName"], found.get("Region"), found["OutputName"])


def _length(argument: Any, scope: Scope) -> int:
    return len(evaluate(argument, scope))


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Condition": condition_holds,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::And": lambda items, scope: all(evaluate(item, scope) for item in items),
    "Fn::Or": lambda items, scope: any(evaluate(item, scope) for item in items),
    "Fn::Not": lambda items, scope: not evaluate(items[0], scope),
    "Fn::Base64": lambda text, scope: base64.b64encode(
        _text(evaluate(text, scope)).encode()
    ).decode(),
    "Fn::Cidr": _cidr,
    "Fn::GetAZs": lambda region, scope: list(
        scope.zones(evaluate(region, scope) or scope.ref("AWS::Region"))
    ),
    "Fn::ImportValue": lambda name, scope: scope.export(evaluate(name, scope)),
    "Fn::GetStackOutput": _stack_output,
    "Fn::Length": _length,
    "Fn::ToJsonString": lambda value, scope: json.dumps(evaluate(value, scope)),
}
