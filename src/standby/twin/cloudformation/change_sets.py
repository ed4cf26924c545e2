"""Change sets: changes of stacks that are planned, looked at, and then executed or not.

Source: AWS CloudFormation API reference.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.descriptions import described_tags, parameters
from standby.twin.cloudformation.engine import Engine
from standby.twin.cloudformation.plan import TAGS, plan
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
from standby.twin.cloudformation.stacks import Change, ChangeSet, Stack, StackStore
from standby.twin.operations import Call, ServiceError, operation

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


@operation(SERVICE, "CreateChangeSet")
def create_change_set(call: Call) -> Mapping[str, Any]:
    """Plan a change of a stack that exists, or of one that is to be created."""
    store, params = call.store(StackStore), call.params
    kind, name = params.get("ChangeSetType", "UPDATE"), params["ChangeSetName"]
    with store.lock:
        stack = store.find(params["StackName"])
        if kind == "CREATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack [{stack.name}] already exists and cannot be created again")
        if kind == "UPDATE" and stack is None:
            raise invalid(f"Stack [{params['StackName']}] does not exist")
        if stack and name in stack.change_sets:
            raise ServiceError("AlreadyExistsException", f"ChangeSet {name} already exists")
        if stack and kind == "UPDATE":
            demand(stack, "updated", allowed=stack.status in UPDATABLE)
        deployment = deployment_of(call, stack)
        stack = stack or new_stack(call, deployment)
    change_set = ChangeSet(
        id=f"arn:aws:cloudformation:{call.region}:{call.account}:changeSet/{name}/{uuid.uuid4()}",
        name=name,
        kind=kind,
        deployment=deployment,
        changes=[],
        description=params.get("Description"),
        after_failure=after_failure(call),
    )
    problem = None
    try:
        change_set.changes = plan(call.twin, stack, deployment)
    except TemplateError as error:
        problem = str(error)
    else:
        if kind == "UPDATE" and stack.has_reached(deployment, change_set.changes):
            problem = NO_CHANGES
    if problem:
        change_set.status, change_set.reason = "FAILED", problem
        change_set.execution_status = "UNAVAILABLE"
    stack.change_sets[name] = change_set
    return {"Id": change_set.id, "StackId": stack.id}


def _change_set(call: Call) -> tuple[Stack, ChangeSet]:
    wanted = call.params["ChangeSetName"]
    store = call.store(StackStore)
    stacks = [stack_of(call)] if "StackName" in call.params else store.live()
    for stack in stacks:
        for change_set in list(stack.change_sets.values()):
            if wanted in {change_set.name, change_set.id}:
                return stack, change_set
    raise ServiceError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist")


@operation(SERVICE, "DescribeChangeSet")
def describe_change_set(call: Call) -> Mapping[str, Any]:
    """Show what a change set would do."""
    stack, change_set = _change_set(call)
    return {
        **_change_set_summary(stack, change_set),
        "Parameters": parameters(change_set.deployment),
        "Tags": described_tags(change_set.deployment.tags),
        "Changes": [_described(change) for change in change_set.changes],
    }


def _described(change: Change) -> dict[str, Any]:
    targets = [
        {"Attribute": TAGS} if name == TAGS else {"Attribute": "Properties", "Name": name}
        for name in change.properties
    ]
    return {
        "Type": "Resource",
        "ResourceChange": {
            "Action": change.action,
            "LogicalResourceId": change.logical_id,
            "PhysicalResourceId": change.physical_id or None,
            "ResourceType": change.type,
            "Replacement": str(change.replacement) if change.action == "Modify" else None,
            "Scope": sorted({target["Attribute"] for target in targets}),
            "Details": [
                {
                    "Target": target,
                    "Evaluation": "Static",
                    "ChangeSource": "DirectModification",
                }
                for target in targets
            ],
        },
    }


def _change_set_summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": change_set.description,
        "CreationTime": change_set.created,
        "ExecutionStatus": change_set.execution_status,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
    }


@operation(SERVICE, "ListChangeSets")
def list_change_sets(call: Call) -> Mapping[str, Any]:
    """List a stack's change sets."""
    stack = stack_of(call)
    return {"Summaries": [_change_set_summary(stack, c) for c in list(stack.change_sets.values())]}


@operation(SERVICE, "ExecuteChangeSet")
def execute_change_set(call: Call) -> None:
    """Start what a change set planned."""
    with call.store(StackStore).lock:
        stack, change_set = _change_set(call)
        if change_set.execution_status != "AVAILABLE":
            raise ServiceError(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change_set.id}] cannot be executed in its current status of "
                f"[{change_set.status}]",
            )
        creates = change_set.kind == "CREATE"
        demand(stack, "updated", allowed=creates or stack.status in UPDATABLE)
        change_set.execution_status = "EXECUTE_COMPLETE"
        stack.change_sets.clear()
        engine, failed = Engine(call.twin, stack), after_failure(call, change_set.after_failure)
        act = engine.create if creates else engine.update
        status = "CREATE_IN_PROGRESS" if creates else "UPDATE_IN_PROGRESS"
        start(stack, lambda: act(change_set.deployment, failed), status)


@operation(SERVICE, "DeleteChangeSet")
def delete_change_set(call: Call) -> None:
    """Forget a change set; one that does not exist is no error."""
    try:
        stack, change_set = _change_set(call)
    except ServiceError:
        return
    stack.change_sets.pop(change_set.name, None)


@operation(SERVICE, "GetTemplate")
def get_template(call: Call) -> Mapping[str, Any]:
    """Give the template that a stack was last deployed with, as it was submitted."""
    if call.params.get("ChangeSetName"):
        return {"TemplateBody": _change_set(call)[1].deployment.template.body}
    return {
        "TemplateBody": stack_of(call).deployment.template.body,
        "StagesAvailable": ["Original", "Processed"],
    }
