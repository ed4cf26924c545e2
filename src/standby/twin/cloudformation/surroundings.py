"""What a stack's functions find beyond its own template: exports, outputs, zones, secrets."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from standby.assembly.intrinsics import TemplateError
from standby.twin.cloudformation.stacks import Stack, StackStore
from standby.twin.cloudformation.template import Surroundings

if TYPE_CHECKING:
    from standby.twin.twin import Twin


def reason(error: Exception) -> str:
    """Give the words of an error as the events of a stack have them."""
    if isinstance(error, ClientError):
        problem = error.response.get("Error", {})
        return f"{problem.get('Message')} ({error.operation_name}: {problem.get('Code')})"
    return str(error)


def surroundings(twin: "Twin", stack: Stack) -> Surroundings:
    """Give what the functions of a stack's template find on the twin."""

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
        raise TemplateError(f"{{{{resolve:{service}:{key}}}}}: {reason(error)}") from None
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
