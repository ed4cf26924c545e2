"""What deploying a template would do to each resource of a stack, said without doing it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from standby.assembly.intrinsics import NO_VALUE, TemplateError, evaluate
from standby.twin.cloudformation.schema import resource_schema
from standby.twin.cloudformation.stacks import Change, Deployment, Stack
from standby.twin.cloudformation.surroundings import surroundings
from standby.twin.cloudformation.template import StackScope
from standby.twin.handlers import handler_for

if TYPE_CHECKING:
    from standby.twin.twin import Twin

TAGS = "Tags"
"""How a change of the stack's own tags is named among the changes of a resource."""


class _Pending(Mapping[str, str]):
    """The attributes of a resource that does not exist yet: known after execution."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, key: str) -> str:
        return f"<{self._name}.{key}: known after deployment>"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def plan(twin: "Twin", stack: Stack, deployment: Deployment) -> list[Change]:
    """Say what deploying would do to each resource, without doing it.

    Raises:
        TemplateError: The template cannot be deployed.
    """
    renewed: set[str] = set()
    touched: set[str] = set()

    def attributes(name: str) -> tuple[str, Mapping[str, Any]]:
        current = stack.resources.get(name)
        if current is None or name in renewed:
            return f"<{name}: known after deployment>", _Pending(name)
        known = _Pending(name) if name in touched else current.attributes
        return current.physical_id, known

    scope = StackScope(
        deployment.template, deployment.parameters, surroundings(twin, stack), attributes
    )
    template, changes = deployment.template, []
    kept = [name for name in template.order if scope.included(name)]
    for name in kept:
        kind = template.resources[name]["Type"]
        handler_for(kind)
        schema = resource_schema(kind)
        wanted = template.resources[name].get("Properties", {})
        schema.check(wanted, name)
        current = stack.resources.get(name)
        if current is None:
            renewed.add(name)
            changes.append(Change("Add", name, kind))
            continue
        if current.type != kind:
            raise TemplateError(
                "Update of resource type is not permitted. The new template modifies "
                f"resource type of the following resources: [{name}]"
            )
        foreseen = schema.normalized(_foreseen(wanted, scope))
        different = changed(current.properties, foreseen)
        if schema.taggable and current.tags != deployment.tags:
            different |= {TAGS}
        if different:
            anew = schema.replaced(current.properties, foreseen)
            (renewed if anew else touched).add(name)
            changes.append(
                Change("Modify", name, kind, current.physical_id, anew, tuple(sorted(different)))
            )
    changes += [
        Change("Remove", name, current.type, current.physical_id)
        for name, current in stack.resources.items()
        if name not in kept
    ]
    return changes


def _foreseen(properties: Mapping[str, Any], scope: StackScope) -> dict[str, Any]:
    """Evaluate properties as far as they are known before execution."""
    found = {}
    for key, value in properties.items():
        try:
            found[key] = evaluate(value, scope)
        except TemplateError:
            found[key] = "<known after deployment>"
    return {key: value for key, value in found.items() if value is not NO_VALUE}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """Name the properties that differ."""
    return frozenset(key for key in {*before, *after} if before.get(key) != after.get(key))
