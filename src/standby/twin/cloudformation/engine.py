"""Makes a stack's resources equal to its template: create, update, roll back, delete.

Source of the order of things and of the status names: CloudFormation user guide, "Stack
status codes" and "Understand update behaviors of stack resources".
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.plan import changed
from standby.twin.cloudformation.schema import resource_schema
from standby.twin.cloudformation.signals import await_signals, seconds
from standby.twin.cloudformation.stacks import (
    AfterFailure,
    Deployment,
    Stack,
    StackResource,
    StackStore,
    now,
)
from standby.twin.cloudformation.surroundings import reason, surroundings
from standby.twin.cloudformation.template import StackScope
from standby.twin.handlers import Created, Properties, Resource, handler_for

if TYPE_CHECKING:
    from standby.twin.twin import Twin

log = logging.getLogger(__name__)


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
        self._imported: set[str] = set()
        around = surroundings(twin, stack)

        def export(name: str) -> Any:
            self._imported.add(name)
            return around.export(name)

        self._around = replace(around, export=export)

    def create(self, deployment: Deployment, after_failure: AfterFailure) -> None:
        """Create every resource; when one fails, do as ``after_failure`` says."""
        stack = self._stack
        stack.record(None, "CREATE_IN_PROGRESS", "User Initiated")
        done: list[_Done] = []
        try:
            self._apply(deployment, done)
        except _OperationFailedError as failure:
            match after_failure.action:
                case "DO_NOTHING":
                    stack.record(None, "CREATE_FAILED", str(failure))
                case "DELETE":
                    stack.record(None, "CREATE_FAILED", f"{failure} Delete requested by user.")
                    self.delete()
                case _:
                    why = f"{failure} Rollback requested by user."
                    stack.record(None, "ROLLBACK_IN_PROGRESS", why)
                    clean = self._undo(done, after_failure)
                    stack.record(None, "ROLLBACK_COMPLETE" if clean else "ROLLBACK_FAILED")
            return
        stack.record(None, "CREATE_COMPLETE")

    def update(self, deployment: Deployment, after_failure: AfterFailure) -> None:
        """Make the stack equal to ``deployment``; when that fails, bring the old state back."""
        stack = self._stack
        stack.updated = now()
        stack.record(None, "UPDATE_IN_PROGRESS", "User Initiated")
        former = stack.deployment
        done: list[_Done] = []
        try:
            self._apply(deployment, done)
        except _OperationFailedError as failure:
            if after_failure.action == "DO_NOTHING":
                stack.record(None, "UPDATE_FAILED", str(failure))
                return
            stack.record(None, "UPDATE_ROLLBACK_IN_PROGRESS", str(failure))
            stack.deployment = former
            clean = self._undo(done, after_failure)
            stack.record(None, "UPDATE_ROLLBACK_COMPLETE" if clean else "UPDATE_ROLLBACK_FAILED")
            return
        stack.record(None, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        scope = self._scope(deployment, self._existing)
        removed = [
            resource
            for name, resource in reversed(list(stack.resources.items()))
            if name not in deployment.template.resources or not scope.included(name)
        ]
        for act in reversed(done):
            if act.before and act.before.physical_id != act.after.physical_id:
                self._delete_resource(act.before, act.after.replace_policy)
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
            stack.outputs, stack.imports = [], frozenset()
            stack.deleted = now()
            stack.record(None, "DELETE_COMPLETE")

    def _apply(self, deployment: Deployment, done: list[_Done]) -> None:
        """Create and update in order of dependency, noting each completed act in ``done``.

        Raises:
            _OperationFailedError: A resource or an output could not be made.
        """
        stack = self._stack
        scope = self._scope(deployment, self._existing)
        stack.deployment = deployment
        self._imported.clear()
        for name in deployment.template.order:
            if not scope.included(name):
                continue
            before = stack.resources.get(name)
            after = StackResource(name, deployment.template.resources[name]["Type"])
            act = "UPDATE" if before else "CREATE"
            try:
                schema = resource_schema(after.type)
                after.properties = schema.normalized(scope.properties(name))
                after.deletion_policy = scope.deletion_policy(name)
                after.replace_policy = scope.replace_policy(name)
                after.tags = deployment.tags if schema.taggable else {}
                if before and (before.properties, before.tags) == (after.properties, after.tags):
                    before.deletion_policy = after.deletion_policy
                    continue
                schema.check(after.properties, name)
                after.policies = scope.policies(name)
                self._make(before, after, after.policies)
            except _EXPECTED as error:
                stack.record(after, f"{act}_FAILED", reason(error))
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
            outputs = scope.outputs()
        except TemplateError as error:
            raise _OperationFailedError(f"{error}.") from error
        store = self._twin.store(StackStore, stack.region)
        with store.lock:
            if conflict := store.conflict(stack, outputs) or store.unreleased(stack, outputs):
                raise _OperationFailedError(conflict)
            stack.outputs, stack.imports = outputs, frozenset(self._imported)

    def _make(
        self, before: StackResource | None, after: StackResource, policies: Mapping[str, Any]
    ) -> None:
        """Bring one resource about: created, updated in place, or created anew to replace."""
        stack, handler = self._stack, handler_for(after.type)
        schema = resource_schema(after.type)
        if before and not schema.replaced(before.properties, after.properties):
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
        with _defects_named(after):
            made = act(resource)
        # What an update leaves as it was has been read when the resource was created.
        different = changed(before.properties if before else {}, after.properties)
        if unread := resource.properties.unread() & different:
            after.physical_id = made.physical_id
            raise TemplateError(
                f"the twin does not support {', '.join(sorted(unread))} of {after.type}"
            )
        return made

    def _undo(self, done: list[_Done], after_failure: AfterFailure) -> bool:
        """Undo what was done, the last first; say whether all of it could be undone."""
        stack, clean = self._stack, True
        for act in reversed(done):
            before, after = act.before, act.after
            if before is not None and before.physical_id == after.physical_id:
                try:
                    self._call(handler_for(before.type).update, before, after, before.policies)
                except _EXPECTED as error:
                    stack.record(before, "UPDATE_FAILED", reason(error))
                    clean = False
                    continue
                stack.resources[before.logical_id] = before
                stack.record(before, "UPDATE_COMPLETE")
            elif self._delete_resource(after, after_failure.policy(after, before)):
                if before is None:
                    del stack.resources[after.logical_id]
                else:
                    stack.resources[before.logical_id] = before
            else:
                clean = False
        return clean

    def _delete_resource(self, resource: StackResource, policy: str = "") -> bool:
        """Delete one resource as a policy says, by default its own; say whether it has left."""
        stack, policy = self._stack, policy or resource.deletion_policy
        if policy in {"Retain", "RetainExceptOnCreate"}:
            stack.record(resource, "DELETE_SKIPPED")
            return True
        stack.record(resource, "DELETE_IN_PROGRESS")
        act = handler_for(resource.type).delete
        try:
            with _defects_named(resource):
                act(self._resource(resource, None, {"DeletionPolicy": policy}))
        except _EXPECTED as error:
            stack.record(resource, "DELETE_FAILED", reason(error))
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
            tags=_as_tags(stack.deployment.tags),
            previous_tags=_as_tags(before.tags if before else {}),
            policies=policies,
        )


class _OperationFailedError(Exception):
    """An operation on a stack failed; the resource's event has the reason."""


_EXPECTED = (ClientError, BotoCoreError, TemplateError)


@contextmanager
def _defects_named(resource: StackResource) -> Iterator[None]:
    """Let a defect of a handler fail its resource, so that the stack rolls back as it should."""
    try:
        yield
    except _EXPECTED:
        raise
    except Exception as error:
        log.exception("the handler of %s failed", resource.type)
        raise TemplateError(f"the twin failed: {error!r}") from error


def _as_tags(tags: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    return tuple({"Key": key, "Value": value} for key, value in tags.items())
