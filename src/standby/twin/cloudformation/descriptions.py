"""Descriptions of stacks, of what is in them, and of what they give to each other.

Source: AWS CloudFormation API reference.
"""

from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.requests import SERVICE, invalid, stack_of, template_of
from standby.twin.cloudformation.stacks import (
    Deployment,
    Event,
    Stack,
    StackResource,
    StackStore,
)
from standby.twin.cloudformation.template import FROM_SSM
from standby.twin.operations import Call, operation

PAGE = 100


@operation(SERVICE, "DescribeStacks")
def describe_stacks(call: Call) -> Mapping[str, Any]:
    """Describe one stack, or every live one."""
    stacks = [stack_of(call)] if call.params.get("StackName") else call.store(StackStore).live()
    return {"Stacks": [_describe(stack) for stack in stacks]}


def _describe(stack: Stack) -> dict[str, Any]:
    return {
        **_summary(stack),
        "Parameters": parameters(stack.deployment),
        "DisableRollback": False,
        "NotificationARNs": [],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        "Outputs": stack.outputs or None,  # no element at all, as AWS answers
        "RoleARN": stack.role_arn,
        "Tags": described_tags(stack.deployment.tags),
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


def parameters(deployment: Deployment) -> list[dict[str, Any]]:
    """Describe the parameters of a deployment, as far as they may be shown."""
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


def described_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Give tags as the API does."""
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
    stack = stack_of(call)
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
            if any(r.physical_id == physical for r in list(stack.resources.values()))
        ]
        if not stacks:
            raise invalid(f"Stack for {physical} does not exist")
        stack = stacks[0]
    else:
        stack = stack_of(call)
    logical = call.params.get("LogicalResourceId")
    return {
        "StackResources": [
            _resource(stack, r)
            for r in list(stack.resources.values())
            if logical in {None, r.logical_id}
        ]
    }


@operation(SERVICE, "DescribeStackResource")
def describe_stack_resource(call: Call) -> Mapping[str, Any]:
    """Describe one resource of a stack."""
    stack, name = stack_of(call), call.params["LogicalResourceId"]
    if name not in stack.resources:
        raise invalid(f"Resource {name} does not exist for stack {stack.name}")
    return {"StackResourceDetail": _resource(stack, stack.resources[name])}


@operation(SERVICE, "ListStackResources")
def list_stack_resources(call: Call) -> Mapping[str, Any]:
    """List a stack's resources."""
    stack = stack_of(call)
    return {"StackResourceSummaries": [_resource(stack, r) for r in list(stack.resources.values())]}


@operation(SERVICE, "GetTemplateSummary")
def get_template_summary(call: Call) -> Mapping[str, Any]:
    """Name the parameters and resource types of a template."""
    has_stack = call.params.get("StackName")
    template = stack_of(call).deployment.template if has_stack else template_of(call)
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
    template = template_of(call)
    try:
        template.order  # noqa: B018 - computing the order is the check
    except TemplateError as error:
        raise invalid(str(error)) from None
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


@operation(SERVICE, "ListImports")
def list_imports(call: Call) -> Mapping[str, Any]:
    """Name the stacks that import an export."""
    name = call.params["ExportName"]
    users = call.store(StackStore).importers(name)
    if not users:
        raise invalid(f"Export '{name}' is not imported by any stack.")
    return {"Imports": [user.name for user in users]}
