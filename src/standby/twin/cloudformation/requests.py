"""What the requests to CloudFormation name: a stack, a template, a deployment, what may fail."""

import re
import threading
import uuid
from collections.abc import Callable
from urllib.parse import unquote, urlparse

from botocore.exceptions import ClientError

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.stacks import AfterFailure, Deployment, Stack, StackStore
from standby.twin.cloudformation.template import Template
from standby.twin.operations import Call, ServiceError

SERVICE = "cloudformation"
LONGEST_BODY = 51_200
"""Bytes of a template in the request itself; a longer one comes from S3."""
UPDATABLE = {
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_COMPLETE",
}
"""Statuses from which a stack can be updated; one rolled back at creation can only be deleted."""


def invalid(message: str) -> ServiceError:
    """Give the error that most refusals of CloudFormation are."""
    return ServiceError("ValidationError", message)


def stack_of(call: Call) -> Stack:
    """Give the stack that a request names.

    Raises:
        ServiceError: There is none.
    """
    name = call.params["StackName"]
    stack = call.store(StackStore).find(name)
    if stack is None:
        raise invalid(f"Stack with id {name} does not exist")
    return stack


def demand(stack: Stack, verb: str, *, allowed: bool) -> None:
    """Refuse an operation that the status of a stack does not allow.

    Raises:
        ServiceError: It is not allowed.
    """
    if not allowed:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be {verb}.")


def template_of(call: Call, stack: Stack | None = None) -> Template:
    """Give the template of a request, or that of the stack where the request keeps it.

    Raises:
        ServiceError: There is none, or it is not well formed.
    """
    params = call.params
    if params.get("UsePreviousTemplate") and stack:
        return stack.deployment.template
    body = params.get("TemplateBody")
    try:
        if body is None and "TemplateURL" in params:
            body = _fetch(call, params["TemplateURL"])
        elif body is not None and len(body.encode()) > LONGEST_BODY:
            raise invalid(
                "1 validation error detected: Value at 'templateBody' failed to satisfy "
                f"constraint: Member must have length less than or equal to {LONGEST_BODY}"
            )
        if body is None:
            raise invalid("Either Template URL or Template Body must be specified.")
        return Template.parse(body)
    except TemplateError as error:
        raise invalid(str(error)) from None


def _fetch(call: Call, url: str) -> str:
    """Read a template from S3: ``https://s3.REGION.amazonaws.com/BUCKET/KEY`` or path-style."""
    parsed = urlparse(url)
    path = unquote(parsed.path).lstrip("/")
    host = re.match(r"(.+)\.s3[.-]", parsed.netloc)
    bucket, _, key = (host[1], "", path) if host else path.partition("/")
    if not (bucket and key):
        raise invalid("TemplateURL must be a supported URL.")
    try:
        answer = call.twin.client("s3", call.region).get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise invalid(f"S3 error: {error.response['Error']['Message']} ({url})") from None
    return str(answer["Body"].read().decode())


def deployment_of(call: Call, stack: Stack | None) -> Deployment:
    """Give what a request wants a stack to become.

    Raises:
        ServiceError: The template or the parameters are not what they must be.
    """
    template = template_of(call, stack)

    def from_ssm(name: str) -> str:
        answer = call.twin.client("ssm", call.region).get_parameter(Name=name)
        return str(answer["Parameter"]["Value"])

    try:
        inputs = template.parameter_inputs(
            call.params.get("Parameters", ()), stack.deployment.inputs if stack else {}
        )
        parameters = template.parameter_values(inputs, from_ssm)
    except TemplateError as error:
        raise invalid(str(error)) from None
    except ClientError as error:
        raise invalid(f"Unable to fetch parameters from SSM: {error}") from None
    if "Tags" not in call.params and stack:  # an empty list would take all tags away
        return Deployment(template, inputs, parameters, stack.deployment.tags)
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", ())}
    return Deployment(template, inputs, parameters, tags)


def new_stack(call: Call, deployment: Deployment) -> Stack:
    """Begin a stack of the name in the request.

    Raises:
        ServiceError: It cannot be called so.
    """
    name = call.params["StackName"]
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
        raise invalid(f"Invalid stack name {name!r}: letters, digits and hyphens, at most 128")
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


def start(stack: Stack, work: Callable[[], None], status: str) -> None:
    """Run an operation on a stack in the background, as CloudFormation does."""
    stack.status = status

    def run() -> None:
        try:
            work()
        except Exception as error:  # a defect of ours must end the operation, not hang its client
            stack.record(None, status.replace("_IN_PROGRESS", "_FAILED"), f"twin failed: {error!r}")
            raise

    threading.Thread(target=run, name=f"stack {stack.name}", daemon=True).start()


def after_failure(call: Call, planned: AfterFailure | None = None) -> AfterFailure:
    """Read from a request what becomes of an operation that fails.

    Args:
        call: The request.
        planned: What the request for the change set said, when this one executes it.
    """
    params = call.params
    action = params.get("OnFailure") or params.get("OnStackFailure")
    if not action:
        action = "DO_NOTHING" if params.get("DisableRollback") else "ROLLBACK"
        action = planned.action if planned and action == "ROLLBACK" else action
    return AfterFailure(action, bool(params.get("RetainExceptOnCreate")))
