"""CloudFormation's API for the twin: what `cdk deploy`, the AWS CLI and boto3 call.

Source: AWS CloudFormation API reference.
"""

import re
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlparse

from botocore.exceptions import ClientError

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.engine import Engine
from standby.twin.cloudformation.stacks import (
    ChangeSet,
    Deployment,
    Event,
    Stack,
    StackResource,
    StackStore,
    now,
)
from standby.twin.cloudformation.template import FROM_SSM, Template
from standby.twin.operations import Call, ServiceError, operation

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
SERVICE = "cloudformation"
PAGE = 100


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)


def _stack(call: Call, key: str = "StackName") -> Stack:
    name = call.params[key]
    stack = call.store(StackStore).find(name)
    if stack is None:
        raise _invalid(f"Stack with id {name} does not exist")
    return stack


def _idle(stack: Stack, verb: str) -> None:
    if stack.busy:
        raise _invalid(f"Stack:{stack.id} is in {stack.status} state and can not be {verb}.")


def _template(call: Call, stack: Stack | None = None) -> Template:
    params = call.params
    if params.get("UsePreviousTemplate") and stack:
        return stack.deployment.template
    body = params.get("TemplateBody")
    try:
        if body is None and "TemplateURL" in params:
            body = _fetch(call, params["TemplateURL"])
        if body is None:
            raise _invalid("Either Template URL or Template Body must be specified.")
        return Template.parse(body)
    except TemplateError as error:
        raise _invalid(str(error)) from None


def _fetch(call: Call, url: str) -> str:
    """Read a template from S3: ``https://s3.REGION.amazonaws.com/BUCKET/KEY`` or path-style."""
    parsed = urlparse(url)
    path = unquote(parsed.path).lstrip("/")
    host = re.match(r"(.+)\.s3[.-]", parsed.netloc)
    bucket, key = (host[1], path) if host else path.split("/", 1)
    try:
        answer = call.twin.client("s3", call.region).get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise _invalid(f"S3 error: {error.response['Error']['Message']} ({url})") from None
    return str(answer["Body"].read().decode())


def _deployment(call: Call, stack: Stack | None) -> Deployment:
    template = _template(call, stack)

    def from_ssm(name: str) -> str:
        answer = call.twin.client("ssm", call.region).get_parameter(Name=name)
        return str(answer["Parameter"]["Value"])

    try:
        inputs = template.parameter_inputs(
            call.params.get("Parameters", ()), stack.deployment.inputs if stack else {}
        )
        parameters = template.parameter_values(inputs, from_ssm)
    except TemplateError as error:
        raise _invalid(str(error)) from None
    except ClientError as error:
        raise _invalid(f"Unable to fetch parameters from SSM: {error}") from None
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
    return Deployment(template, inputs, parameters, tags)


def _new_stack(call: Call, deployment: Deployment) -> Stack:
    name = call.params["StackName"]
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
        raise _invalid(f"Invalid stack name {name!r}: letters, digits and hyphens, at most 128")
    stack = Stack(
        name=name,
        id=f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/{uuid.uuid4()}",
        region=call.region,
        account=call.account,
        deployment=deployment,
        role_arn=call.params.get("RoleARN"),
        termination_protection=bool(call.params.get("EnableTerminationProtection")),
    )
    call.store(StackStore).stacks.append(stack)
    return stack


def _start(stack: Stack, work: Callable[[], None], status: str) -> None:
    """Run an operation on a stack in the background, as CloudFormation does."""
    stack.status = status

    def run() -> None:
        try:
            work()
        except Exception as error:  # a defect of ours must end the operation, not hang its client
            stack.record(None, status.replace("_IN_PROGRESS", "_FAILED"), f"twin failed: {error!r}")
            raise

    threading.Thread(target=run, name=f"stack {stack.name}", daemon=True).start()


def _rolls_back(params: Mapping[str, Any]) -> bool:
    if params.get("OnFailure"):
        return bool(params["OnFailure"] != "DO_NOTHING")
    if params.get("OnStackFailure"):
        return bool(params["OnStackFailure"] != "DO_NOTHING")
    return not params.get("DisableRollback")


@operation(SERVICE, "CreateStack")
def create_stack(call: Call) -> Mapping[str, Any]:
    """Create a stack and start making its resources."""
    store = call.store(StackStore)
    with store.lock:
        if store.find(call.params["StackName"]):
            raise ServiceError(
                "AlreadyExistsException", f"Stack [{call.params['StackName']}] already exists"
            )
        deployment = _deployment(call, None)
        stack = _new_stack(call, deployment)
    engine = Engine(call.twin, stack)
    try:
        engine.plan(deployment)
    except TemplateError as error:
        store.stacks.remove(stack)
        raise _invalid(str(error)) from None
    rollback = _rolls_back(call.params)
    _start(stack, lambda: engine.create(deployment, rollback=rollback), "CREATE_IN_PROGRESS")
    return {"StackId": stack.id}


@operation(SERVICE, "UpdateStack")
def update_stack(call: Call) -> Mapping[str, Any]:
    """Start changing a stack to a new template."""
    stack = _stack(call)
    with call.store(StackStore).lock:
        _idle(stack, "updated")
        deployment = _deployment(call, stack)
        engine = Engine(call.twin, stack)
        try:
            changes = engine.plan(deployment)
        except TemplateError as error:
            raise _invalid(str(error)) from None
        if not changes and stack.deployment.agrees_with(deployment):
            raise _invalid("No updates are to be performed.")
        rollback = _rolls_back(call.params)
        _start(stack, lambda: engine.update(deployment, rollback=rollback), "UPDATE_IN_PROGRESS")
    return {"StackId": stack.id}


@operation(SERVICE, "DeleteStack")
def delete_stack(call: Call) -> None:
    """Start deleting a stack; one that does not exist is no error."""
    stack = call.store(StackStore).find(call.params["StackName"])
    if stack is None or stack.status == "DELETE_COMPLETE":
        return
    _idle(stack, "deleted")
    if stack.termination_protection:
        raise _invalid(
            f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
        )
    retain = frozenset(call.params.get("RetainResources", ()))
    _start(stack, lambda: Engine(call.twin, stack).delete(retain), "DELETE_IN_PROGRESS")


@operation(SERVICE, "CreateChangeSet")
def create_change_set(call: Call) -> Mapping[str, Any]:
    """Plan a change of a stack that exists, or of one that is to be created."""
    store, params = call.store(StackStore), call.params
    kind = params.get("ChangeSetType", "UPDATE")
    with store.lock:
        stack = store.find(params["StackName"])
        if kind == "CREATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
            raise _invalid(f"Stack [{stack.name}] already exists and cannot be created again")
        if kind == "UPDATE" and stack is None:
            raise _invalid(f"Stack [{params['StackName']}] does not exist")
        if stack:
            _idle(stack, "updated")
        deployment = _deployment(call, stack)
        stack = stack or _new_stack(call, deployment)
    name = params["ChangeSetName"]
    change_set = ChangeSet(
        id=f"arn:aws:cloudformation:{call.region}:{call.account}:changeSet/{name}/{uuid.uuid4()}",
        name=name,
        kind=kind,
        deployment=deployment,
        changes=[],
        description=params.get("Description"),
        rollback=_rolls_back(params),
    )
    problem = None
    try:
        change_set.changes = Engine(call.twin, stack).plan(deployment)
    except TemplateError as error:
        problem = str(error)
    else:
        if kind == "UPDATE" and not change_set.changes and stack.deployment.agrees_with(deployment):
            problem = NO_CHANGES
    if problem:
        change_set.status, change_set.reason = "FAILED", problem
        change_set.execution_status = "UNAVAILABLE"
    stack.change_sets[name] = change_set
    return {"Id": change_set.id, "StackId": stack.id}


def _change_set(call: Call) -> tuple[Stack, ChangeSet]:
    wanted = call.params["ChangeSetName"]
    store = call.store(StackStore)
    stacks = [_stack(call)] if "StackName" in call.params else store.live()
    for stack in stacks:
        for change_set in stack.change_sets.values():
            if wanted in {change_set.name, change_set.id}:
                return stack, change_set
    raise ServiceError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist")


@operation(SERVICE, "DescribeChangeSet")
def describe_change_set(call: Call) -> Mapping[str, Any]:
    """Show what a change set would do."""
    stack, change_set = _change_set(call)
    return {
        **_change_set_summary(stack, change_set),
        "Parameters": _parameters(change_set.deployment),
        "Tags": _tags(change_set.deployment.tags),
        "Changes": [
            {
                "Type": "Resource",
                "ResourceChange": {
                    "Action": change.action,
                    "LogicalResourceId": change.logical_id,
                    "PhysicalResourceId": change.physical_id or None,
                    "ResourceType": change.type,
                    "Replacement": str(change.replacement) if change.action == "Modify" else None,
                    "Scope": ["Properties"] if change.properties else [],
                    "Details": [
                        {
                            "Target": {"Attribute": "Properties", "Name": name},
                            "Evaluation": "Static",
                            "ChangeSource": "DirectModification",
                        }
                        for name in change.properties
                    ],
                },
            }
            for change in change_set.changes
        ],
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
    stack = _stack(call)
    return {"Summaries": [_change_set_summary(stack, c) for c in stack.change_sets.values()]}


@operation(SERVICE, "ExecuteChangeSet")
def execute_change_set(call: Call) -> None:
    """Start what a change set planned."""
    stack, change_set = _change_set(call)
    if change_set.execution_status != "AVAILABLE":
        raise ServiceError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{change_set.id}] cannot be executed in its current status of "
            f"[{change_set.status}]",
        )
    _idle(stack, "updated")
    change_set.execution_status = "EXECUTE_COMPLETE"
    stack.change_sets.clear()
    engine, deployment = Engine(call.twin, stack), change_set.deployment
    rollback = change_set.rollback and not call.params.get("DisableRollback")
    if change_set.kind == "CREATE":
        _start(stack, lambda: engine.create(deployment, rollback=rollback), "CREATE_IN_PROGRESS")
    else:
        stack.updated = now()
        _start(stack, lambda: engine.update(deployment, rollback=rollback), "UPDATE_IN_PROGRESS")


@operation(SERVICE, "DeleteChangeSet")
def delete_change_set(call: Call) -> None:
    """Forget a change set; one that does not exist is no error."""
    try:
        stack, change_set = _change_set(call)
    except ServiceError:
        return
    del stack.change_sets[change_set.name]


@operation(SERVICE, "DescribeStacks")
def describe_stacks(call: Call) -> Mapping[str, Any]:
    """Describe one stack, or every live one."""
    stacks = [_stack(call)] if call.params.get("StackName") else call.store(StackStore).live()
    return {"Stacks": [_describe(stack) for stack in stacks]}


def _describe(stack: Stack) -> dict[str, Any]:
    return {
        **_summary(stack),
        "Parameters": _parameters(stack.deployment),
        "DisableRollback": False,
        "NotificationARNs": [],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        "Outputs": stack.outputs,
        "RoleARN": stack.role_arn,
        "Tags": _tags(stack.deployment.tags),
        "EnableTerminationProtection": stack.termination_protection,
    }


def _summary(stack: Stack) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def _parameters(deployment: Deployment) -> list[dict[str, Any]]:
    declared = deployment.template.document.get("Parameters") or {}
    return [_parameter(key, declared.get(key, {}), deployment) for key in deployment.inputs]


def _parameter(key: str, declared: Mapping[str, Any], deployment: Deployment) -> dict[str, Any]:
    if declared.get("NoEcho"):
        return {"ParameterKey": key, "ParameterValue": "****"}
    shown = {"ParameterKey": key, "ParameterValue": deployment.inputs[key]}
    if declared.get("Type", "").startswith(FROM_SSM):
        value = deployment.parameters[key]
        shown["ResolvedValue"] = ",".join(value) if isinstance(value, list) else value
    return shown


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@operation(SERVICE, "ListStacks")
def list_stacks(call: Call) -> Mapping[str, Any]:
    """List stacks, deleted ones included, of the wanted statuses."""
    wanted = set(call.params.get("StackStatusFilter", ()))
    stacks = call.store(StackStore).stacks
    return {"StackSummaries": [_summary(s) for s in stacks if not wanted or s.status in wanted]}


@operation(SERVICE, "DescribeStackEvents")
def describe_stack_events(call: Call) -> Mapping[str, Any]:
    """Give a stack's history, the latest first, in pages."""
    stack = _stack(call)
    newest_first = stack.events[::-1]
    start = int(call.params.get("NextToken") or 0)
    if start:  # a token counts from the oldest, so that pages hold still while events arrive
        newest_first = stack.events[: len(stack.events) - start][::-1]
    page = newest_first[:PAGE]
    answer: dict[str, Any] = {"StackEvents": [_event(stack, event) for event in page]}
    if len(newest_first) > PAGE:
        answer["NextToken"] = str(start + PAGE)
    return answer


def _event(stack: Stack, event: Event) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "EventId": event.id,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.time,
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ClientRequestToken": event.token,
    }


def _resource(stack: Stack, resource: StackResource) -> dict[str, Any]:
    return {
        "StackName": stack.name,
        "StackId": stack.id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "Timestamp": resource.updated,
        "LastUpdatedTimestamp": resource.updated,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


@operation(SERVICE, "DescribeStackResources")
def describe_stack_resources(call: Call) -> Mapping[str, Any]:
    """Describe a stack's resources, or one of them; a physical id finds its stack."""
    physical = call.params.get("PhysicalResourceId")
    if physical:
        stacks = [
            stack
            for stack in call.store(StackStore).live()
            if any(r.physical_id == physical for r in stack.resources.values())
        ]
        if not stacks:
            raise _invalid(f"Stack for {physical} does not exist")
        stack = stacks[0]
    else:
        stack = _stack(call)
    logical = call.params.get("LogicalResourceId")
    return {
        "StackResources": [
            _resource(stack, r) for r in stack.resources.values() if logical in {None, r.logical_id}
        ]
    }


@operation(SERVICE, "DescribeStackResource")
def describe_stack_resource(call: Call) -> Mapping[str, Any]:
    """Describe one resource of a stack."""
    stack, name = _stack(call), call.params["LogicalResourceId"]
    if name not in stack.resources:
        raise _invalid(f"Resource {name} does not exist for stack {stack.name}")
    return {"StackResourceDetail": _resource(stack, stack.resources[name])}


@operation(SERVICE, "ListStackResources")
def list_stack_resources(call: Call) -> Mapping[str, Any]:
    """List a stack's resources."""
    stack = _stack(call)
    return {"StackResourceSummaries": [_resource(stack, r) for r in stack.resources.values()]}


@operation(SERVICE, "GetTemplate")
def get_template(call: Call) -> Mapping[str, Any]:
    """Give the template that a stack was last deployed with, as it was submitted."""
    if call.params.get("ChangeSetName"):
        return {"TemplateBody": _change_set(call)[1].deployment.template.body}
    return {
        "TemplateBody": _stack(call).deployment.template.body,
        "StagesAvailable": ["Original", "Processed"],
    }


@operation(SERVICE, "GetTemplateSummary")
def get_template_summary(call: Call) -> Mapping[str, Any]:
    """Name the parameters and resource types of a template."""
    has_stack = call.params.get("StackName")
    template = _stack(call).deployment.template if has_stack else _template(call)
    return {
        "Parameters": [
            {
                "ParameterKey": name,
                "ParameterType": declaration.get("Type"),
                "DefaultValue": declaration.get("Default"),
            }
            for name, declaration in (template.document.get("Parameters") or {}).items()
        ],
        "Description": template.document.get("Description"),
        "ResourceTypes": sorted({r["Type"] for r in template.resources.values()}),
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }


@operation(SERVICE, "ValidateTemplate")
def validate_template(call: Call) -> Mapping[str, Any]:
    """Check a template's form: parsable, ordered, with known references."""
    template = _template(call)
    try:
        template.order  # noqa: B018 - computing the order is the check
    except TemplateError as error:
        raise _invalid(str(error)) from None
    return {"Description": template.document.get("Description"), "Parameters": []}


@operation(SERVICE, "ListExports")
def list_exports(call: Call) -> Mapping[str, Any]:
    """List the region's exports."""
    exports = call.store(StackStore).exports()
    return {
        "Exports": [
            {"ExportingStackId": stack.id, "Name": name, "Value": value}
            for name, (stack, value) in exports.items()
        ]
    }


@operation(SERVICE, "UpdateTerminationProtection")
def update_termination_protection(call: Call) -> Mapping[str, Any]:
    """Let a stack be deleted, or not."""
    stack = _stack(call)
    stack.termination_protection = bool(call.params["EnableTerminationProtection"])
    return {"StackId": stack.id}


@operation(SERVICE, "SignalResource")
def signal_resource(call: Call) -> None:
    """Note that an instance of a resource reports success or failure (``cfn-signal``)."""
    stack = _stack(call)
    with stack.signalled:
        signals = stack.signals.setdefault(call.params["LogicalResourceId"], [])
        signals.append({"Id": call.params["UniqueId"], "Status": call.params["Status"]})
        stack.signalled.notify_all()
