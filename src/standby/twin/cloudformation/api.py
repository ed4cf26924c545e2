"""CloudFormation's API for the twin: what `cdk deploy`, the AWS CLI and boto3 change stacks by.

Source: AWS CloudFormation API reference.
"""

from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.engine import Engine
from standby.twin.cloudformation.plan import plan
from standby.twin.cloudformation.requests import (
    SERVICE,
    UPDATABLE,
    after_failure,
    demand,
    deployment_of,
    invalid,
    new_stack,
    stack_of,
    start,
)
from standby.twin.cloudformation.stacks import StackStore
from standby.twin.operations import Call, ServiceError, operation


@operation(SERVICE, "CreateStack")
def create_stack(call: Call) -> Mapping[str, Any]:
    """Create a stack and start making its resources."""
    store = call.store(StackStore)
    with store.lock:
        if store.find(call.params["StackName"]):
            raise ServiceError(
                "AlreadyExistsException", f"Stack [{call.params['StackName']}] already exists"
            )
        deployment = deployment_of(call, None)
        stack = new_stack(call, deployment)
    try:
        plan(call.twin, stack, deployment)
    except Exception as error:  # whatever it is, nothing of a refused stack stays
        store.stacks.remove(stack)
        if isinstance(error, TemplateError):
            raise invalid(str(error)) from None
        raise
    engine, failed = Engine(call.twin, stack), after_failure(call)
    start(stack, lambda: engine.create(deployment, failed), "CREATE_IN_PROGRESS")
    return {"StackId": stack.id}


@operation(SERVICE, "UpdateStack")
def update_stack(call: Call) -> Mapping[str, Any]:
    """Start changing a stack to a new template."""
    stack = stack_of(call)
    with call.store(StackStore).lock:
        demand(stack, "updated", allowed=stack.status in UPDATABLE)
        deployment = deployment_of(call, stack)
        try:
            changes = plan(call.twin, stack, deployment)
        except TemplateError as error:
            raise invalid(str(error)) from None
        if stack.has_reached(deployment, changes):
            raise invalid("No updates are to be performed.")
        engine, failed = Engine(call.twin, stack), after_failure(call)
        start(stack, lambda: engine.update(deployment, failed), "UPDATE_IN_PROGRESS")
    return {"StackId": stack.id}


@operation(SERVICE, "DeleteStack")
def delete_stack(call: Call) -> None:
    """Start deleting a stack; one that does not exist is no error."""
    store = call.store(StackStore)
    with store.lock:
        stack = store.find(call.params["StackName"])
        if stack is None or stack.status == "DELETE_COMPLETE":
            return
        demand(stack, "deleted", allowed=not stack.busy)
        if stack.termination_protection:
            raise invalid(
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        retain = frozenset(call.params.get("RetainResources", ()))
        if retain and stack.status != "DELETE_FAILED":
            raise invalid(
                f"Invalid operation on stack [{stack.id}]. When you delete a stack, specify which "
                "resources to retain only when the stack is in the DELETE_FAILED state."
            )
        if needed := store.unreleased(stack, ()):
            stack.record(None, stack.status, f"Delete canceled. {needed}")
            return
        start(stack, lambda: Engine(call.twin, stack).delete(retain), "DELETE_IN_PROGRESS")


@operation(SERVICE, "UpdateTerminationProtection")
def update_termination_protection(call: Call) -> Mapping[str, Any]:
    """Let a stack be deleted, or not."""
    stack = stack_of(call)
    stack.termination_protection = bool(call.params["EnableTerminationProtection"])
    return {"StackId": stack.id}


@operation(SERVICE, "SignalResource")
def signal_resource(call: Call) -> None:
    """Note that an instance of a resource reports success or failure (``cfn-signal``)."""
    stack = stack_of(call)
    with stack.signalled:
        signals = stack.signals.setdefault(call.params["LogicalResourceId"], [])
        signals.append({"Id": call.params["UniqueId"], "Status": call.params["Status"]})
        stack.signalled.notify_all()
