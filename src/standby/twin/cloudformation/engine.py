"""Makes a stack's resources equal to its template: create, update, roll back, delete.

Source of the order of things and of the status names: CloudFormation user guide, "Stack
status codes" and "Understand update behaviors of stack resources".
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from standby.assembly.intrinsics import NO_VALUE, TemplateError, evaluate
from standby.twin.cloudformation.schema import resource_schema
from standby.twin.cloudformation.signals import await_signals, seconds
from standby.twin.cloudformation.stacks import Change, Deployment, Stack, StackResource, StackStore
from standby.twin.cloudformation.template import StackScope, Surroundings
from standby.twin.handlers import Created, Properties, Resource, handler_for

if TYPE_CHECKING:
    from standby.twin.twin import Twin

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class _Done:
    """One completed act of an operation, so that it can be undone."""

    before: StackResource | None
    after: StackResource


class Engine:
    """Runs operations on one stack."""

    def __init__(self, twin: "Twin", stack: Stack) -> None:
        self._twin = twin
        self._stack = stack
        self._around = _surroundings(twin, stack)

    def plan(self, deployment: Deployment) -> list[Change]:
        """Say what deploying would do to each resource, without doing it.

        Raises:
            TemplateError: The template cannot be deployed.
        """
        renewed: set[str] = set()
        touched: set[str] = set()

        def attributes(name: str) -> tuple[str, Mapping[str, Any]]:
            current = self._stack.resources.get(name)
            if current is None or name in renewed:
                return f"<{name}: known after deployment>", _Pending(name)
            known = _Pending(name) if name in touched else current.attributes
            return current.physical_id, known

        scope = self._scope(deployment, attributes)
        template, changes = deployment.template, []
        kept = [name for name in template.order if scope.included(name)]
        for name in kept:
            kind = template.resources[name]["Type"]
            handler_for(kind)
            wanted = template.resources[name].get("Properties", {})
            resource_schema(kind).check(wanted, name)
            current = self._stack.resources.get(name)
            if current is None:
                renewed.add(name)
                changes.append(Change("Add", name, kind))
                continue
            foreseen = _foreseen(wanted, scope)
            different = _different(current.properties, foreseen)
            if current.type != kind or different:
                schema = resource_schema(kind)
                anew = current.type != kind or schema.replaced(current.properties, foreseen)
                (renewed if anew else touched).add(name)
                changes.append(
                    Change(
                        "Modify", name, kind, current.physical_id, anew, tuple(sorted(different))
                    )
                )
        changes += [
            Change("Remove", name, current.type, current.physical_id)
            for name, current in self._stack.resources.items()
            if name not in kept
        ]
        return changes

    def create(self, deployment: Deployment, *, rollback: bool) -> None:
        """Create every resource; when one fails, delete what was made (unless told not to)."""
        stack = self._stack
        stack.record(None, "CREATE_IN_PROGRESS", "User Initiated")
        done: list[_Done] = []
        try:
            self._apply(deployment, done)
        except _OperationFailedError as failure:
            if not rollback:
                stack.record(None, "CREATE_FAILED", str(failure))
                return
            stack.record(None, "ROLLBACK_IN_PROGRESS", f"{failure} Rollback requested by user.")
            clean = self._undo(done)
            stack.record(None, "ROLLBACK_COMPLETE" if clean else "ROLLBACK_FAILED")
            return
        stack.record(None, "CREATE_COMPLETE")

    def update(self, deployment: Deployment, *, rollback: bool) -> None:
        """Make the stack equal to ``deployment``; when that fails, bring the old state back."""
        stack = self._stack
        stack.record(None, "UPDATE_IN_PROGRESS", "User Initiated")
        former = stack.deployment
        done: list[_Done] = []
        try:
            self._apply(deployment, done)
        except _OperationFailedError as failure:
            if not rollback:
                stack.record(None, "UPDATE_FAILED", str(failure))
                return
            stack.record(None, "UPDATE_ROLLBACK_IN_PROGRESS", str(failure))
            clean = self._undo(done)
            stack.deployment = former
            stack.record(None, "UPDATE_ROLLBACK_COMPLETE" if clean else "UPDATE_ROLLBACK_FAILED")
            return
        stack.record(None, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        replaced = [
            act.before
            for act in reversed(done)
            if act.before and act.before.physical_id != act.after.physical_id
        ]
        scope = self._scope(deployment, self._existing)
        removed = [
            resource
            for name, resource in reversed(list(stack.resources.items()))
            if name not in deployment.template.resources or not scope.included(name)
        ]
        for resource in replaced:
            self._delete_resource(resource)
        for resource in removed:
            if self._delete_resource(resource):
                del stack.resources[resource.logical_id]
        stack.record(None, "UPDATE_COMPLETE")

    def delete(self, retain: frozenset[str] = frozenset()) -> None:
        """Delete every resource, the last made first; policies and ``retain`` keep some."""
        stack = self._stack
        stack.record(None, "DELETE_IN_PROGRESS", "User Initiated")
        failed = []
        for name in reversed(list(stack.resources)):
            resource = stack.resources[name]
            if name in retain:
                stack.record(resource, "DELETE_SKIPPED")
            elif not self._delete_resource(resource):
                failed.append(name)
                continue
            del stack.resources[name]
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]."
            stack.record(None, "DELETE_FAILED", reason)
        else:
            stack.outputs = []
            stack.record(None, "DELETE_COMPLETE")

    def _apply(self, deployment: Deployment, done: list[_Done]) -> None:
        """Create and update in order of dependency, noting each completed act in ``done``.

        Raises:
            _OperationFailedError: A resource or an output could not be made.
        """
        stack = self._stack
        scope = self._scope(deployment, self._existing)
        stack.deployment = deployment
        for name in deployment.template.order:
            if not scope.included(name):
                continue
            before = stack.resources.get(name)
            after = StackResource(name, deployment.template.resources[name]["Type"])
            act = "UPDATE" if before else "CREATE"
            try:
                after.deletion_policy = scope.deletion_policy(name)
                after.properties = scope.properties(name)
                if before and (before.type, before.properties) == (after.type, after.properties):
                    before.deletion_policy = after.deletion_policy
                    continue
                resource_schema(after.type).check(after.properties, name)
                after.policies = scope.policies(name)
                self._make(before, after, after.policies)
            except _EXPECTED as error:
                stack.record(after, f"{act}_FAILED", _reason(error))
                if after.physical_id and before is None:
                    stack.resources[name] = after
                    done.append(_Done(None, after))
                elif before and after.physical_id == before.physical_id:
                    done.append(_Done(before, after))  # it may be half updated: undo that, too
                verb = "update" if before else "create"
                raise _OperationFailedError(
                    f"The following resource(s) failed to {verb}: [{name}]."
                ) from error
            stack.resources[name] = after
            done.append(_Done(before, after))
            stack.record(after, f"{act}_COMPLETE")
        try:
            stack.outputs = scope.outputs()
        except TemplateError as error:
            raise _OperationFailedError(f"{error}.") from error

    def _make(
        self, before: StackResource | None, after: StackResource, policies: Mapping[str, Any]
    ) -> None:
        """Bring one resource about: created, updated in place, or created anew to replace."""
        stack, handler = self._stack, handler_for(after.type)
        in_place = (
            before is not None
            and before.type == after.type
            and not resource_schema(after.type).replaced(before.properties, after.properties)
        )
        if before and in_place:
            after.physical_id = before.physical_id
            stack.record(after, "UPDATE_IN_PROGRESS")
            made = self._call(handler.update, after, before, policies)
        else:
            stack.record(
                after,
                "UPDATE_IN_PROGRESS" if before else "CREATE_IN_PROGRESS",
                "Requested update requires the creation of a new physical resource; "
                "hence creating one."
                if before
                else None,
            )
            made = self._call(handler.create, after, None, policies)
        after.physical_id, after.attributes = made.physical_id, made.attributes
        if before is None:
            self._await_signals(after, policies.get("CreationPolicy", {}))

    def _call(
        self,
        act: Callable[[Resource], Created],
        after: StackResource,
        before: StackResource | None,
        policies: Mapping[str, Any],
    ) -> Created:
        resource = self._resource(after, before, policies)
        made = act(resource)
        # What an update leaves as it was has been read when the resource was created.
        changed = _different(before.properties if before else {}, after.properties)
        if unread := resource.properties.unread() & changed:
            after.physical_id = made.physical_id
            raise TemplateError(
                f"the twin does not support {', '.join(sorted(unread))} of {after.type}"
            )
        return made

    def _undo(self, done: list[_Done]) -> bool:
        """Undo what was done, the last first; say whether all of it could be undone."""
        stack, clean = self._stack, True
        for act in reversed(done):
            before, after = act.before, act.after
            if before is not None and before.physical_id == after.physical_id:
                try:
                    self._call(handler_for(before.type).update, before, after, before.policies)
                except _EXPECTED as error:
                    stack.record(before, "UPDATE_FAILED", _reason(error))
                    clean = False
                    continue
                stack.resources[before.logical_id] = before
                stack.record(before, "UPDATE_COMPLETE")
            elif self._delete_resource(replace(after, deletion_policy="Delete")):
                if before is None:
                    del stack.resources[after.logical_id]
                else:
                    stack.resources[before.logical_id] = before
            else:
                clean = False
        return clean

    def _delete_resource(self, resource: StackResource) -> bool:
        """Delete one resource as its policy says; say whether it is off the stack's hands."""
        stack = self._stack
        if resource.deletion_policy in {"Retain", "RetainExceptOnCreate"}:
            stack.record(resource, "DELETE_SKIPPED")
            return True
        stack.record(resource, "DELETE_IN_PROGRESS")
        policies = {"DeletionPolicy": resource.deletion_policy}
        try:
            handler_for(resource.type).delete(self._resource(resource, None, policies))
        except _EXPECTED as error:
            stack.record(resource, "DELETE_FAILED", _reason(error))
            return False
        stack.record(resource, "DELETE_COMPLETE")
        return True

    def _await_signals(self, resource: StackResource, policy: Mapping[str, Any]) -> None:
        """Wait for the success signals that a creation policy demands.

        Raises:
            TemplateError: A failure signal came, or too few in time.
        """
        wanted = policy.get("ResourceSignal")
        if not wanted:
            return
        count = int(wanted.get("Count", 1))
        timeout = seconds(wanted.get("Timeout", "PT5M")) / self._twin.speed
        good, bad = await_signals(self._stack, resource.logical_id, count, timeout)
        if good < count or bad:
            raise TemplateError(
                f"Received {good} SUCCESS and {bad} FAILURE signal(s) out of {count}"
            )

    def _existing(self, name: str) -> tuple[str, Mapping[str, Any]]:
        resource = self._stack.resources.get(name)
        if resource is None:
            raise TemplateError(f"resource {name!r} does not exist: its condition is false")
        return resource.physical_id, resource.attributes

    def _scope(
        self,
        deployment: Deployment,
        attributes: Callable[[str], tuple[str, Mapping[str, Any]]],
    ) -> StackScope:
        return StackScope(deployment.template, deployment.parameters, self._around, attributes)

    def _resource(
        self, wanted: StackResource, before: StackResource | None, policies: Mapping[str, Any]
    ) -> Resource:
        stack = self._stack
        return Resource(
            twin=self._twin,
            region=stack.region,
            account=stack.account,
            stack_name=stack.name,
            stack_id=stack.id,
            logical_id=wanted.logical_id,
            properties=Properties(wanted.properties),
            previous=before.properties if before else {},
            physical_id=wanted.physical_id,
            attributes=before.attributes if before else wanted.attributes,
            tags=tuple({"Key": k, "Value": v} for k, v in stack.deployment.tags.items()),
            policies=policies,
        )


class _OperationFailedError(Exception):
    """An operation on a stack failed; the resource's event has the reason."""


_EXPECTED = (ClientError, BotoCoreError, TemplateError)


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        problem = error.response.get("Error", {})
        return f"{problem.get('Message')} ({error.operation_name}: {problem.get('Code')})"
    return str(error)


def _foreseen(properties: Mapping[str, Any], scope: StackScope) -> dict[str, Any]:
    """Evaluate properties as far as they are known before execution."""
    found = {}
    for key, value in properties.items():
        try:
            found[key] = evaluate(value, scope)
        except TemplateError:
            found[key] = "<known after deployment>"
    return {key: value for key, value in found.items() if value is not NO_VALUE}


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(key for key in {*before, *after} if before.get(key) != after.get(key))


def _surroundings(twin: "Twin", stack: Stack) -> Surroundings:
    def export(name: str) -> str:
        exports = twin.store(StackStore, stack.region).exports()
        if name not in exports:
            raise TemplateError(f"No export named {name} found.")
        return exports[name][1]

    def stack_output(name: str, region: str | None, key: str) -> str:
        region = region or stack.region
        other = twin.store(StackStore, region).find(name)
        value = other.output(key) if other else None
        if value is None:
            what = f"output {key!r}" if other else "stack"
            raise TemplateError(f"Fn::GetStackOutput: {name} in {region} has no such {what}")
        return value

    def zones(region: str) -> list[str]:
        answer = twin.client("ec2", region).describe_availability_zones()
        return [zone["ZoneName"] for zone in answer["AvailabilityZones"]]

    return Surroundings(
        region=stack.region,
        account=stack.account,
        stack_name=stack.name,
        stack_id=stack.id,
        export=export,
        stack_output=stack_output,
        zones=zones,
        dynamic_reference=lambda service, key: _dynamic_reference(twin, stack.region, service, key),
    )


def _dynamic_reference(twin: "Twin", region: str, service: str, key: str) -> str:
    """Resolve ``{{resolve:...}}`` (CloudFormation user guide, "Dynamic references")."""
    try:
        if service in {"ssm", "ssm-secure"}:
            answer = twin.client("ssm", region).get_parameter(Name=key, WithDecryption=True)
            return str(answer["Parameter"]["Value"])
        if service == "secretsmanager":
            return _secret_value(twin, region, key)
    except ClientError as error:
        raise TemplateError(f"{{{{resolve:{service}:{key}}}}}: {_reason(error)}") from None
    raise TemplateError(f"unknown dynamic reference {{{{resolve:{service}:{key}}}}}")


def _secret_value(twin: "Twin", region: str, key: str) -> str:
    head = 7 if key.startswith("arn:") else 1
    parts = key.split(":")
    secret_id, rest = ":".join(parts[:head]), parts[head:]
    kind, field, stage, version = (rest + [""] * 4)[:4]
    wanted = {"VersionStage": stage, "VersionId": version}
    answer = twin.client("secretsmanager", region).get_secret_value(
        SecretId=secret_id, **{name: value for name, value in wanted.items() if value}
    )
    text = str(answer["SecretString"])
    if kind not in {"", "SecretString"}:
        raise TemplateError(f"secret {secret_id}: only SecretString can be resolved, not {kind!r}")
    if not field:
        return text
    values = json.loads(text)
    if field not in values:
        raise TemplateError(f"secret {secret_id} has no key {field!r}")
    return str(values[field])
