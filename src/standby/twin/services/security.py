"""Security: what moto's IAM, KMS and security groups leave out of their answers.

Source: IAM, KMS and EC2 API references.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.config import default_user_config
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule
from moto.iam.models import iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.kms.models import kms_backends

from standby.twin.operations import Call, ServiceError, operation

# Roles attach AWS's own managed policies, and readers ask what those allow: moto carries them
# (about 15 MiB once parsed) and reads them when its IAM is first used.
default_user_config["iam"]["load_aws_managed_policies"] = True

ROTATION_DAYS = 365


class _Rotations(dict[str, tuple[int, datetime]]):
    """The period of each rotated key's rotation, and when it was set."""


def key_arn(call: Call, key: str | None, service: str, region: str | None = None) -> str:
    """Give the ARN of the key that encrypts a resource, as the service's answers name it.

    Args:
        call: The request that makes the resource.
        key: Id, ARN or alias of the caller's choice, or None for the service's own key.
        service: The service, as the alias of its own key names it.
        region: Region of key and resource, where it is not the request's.

    Raises:
        ServiceError: There is no such key in the region, or it cannot be used.
    """
    region = region or call.region
    keys = kms_backends[call.account][region]
    name = keys.get_alias_name(key or f"alias/aws/{service}")
    alias = name.startswith("alias/")
    id_ = keys.get_key_id_from_alias(name) if alias else keys.get_key_id(name)
    found = keys.keys.get(id_)
    if found is None or (key and key.startswith("arn:") and key.split(":")[3] != region):
        message = f"The KMS key {key} does not exist in {region}"
        raise ServiceError("KMSKeyNotAccessibleFault", message)
    if not found.enabled:
        raise ServiceError("KMSKeyNotAccessibleFault", f"The KMS key {key} is {found.key_state}")
    if not key:
        found.key_manager = "AWS"
    return str(found.arn)


def _key_id(call: Call) -> str:
    return str(call.params["KeyId"]).rpartition("/")[2]


@operation("iam", "UpdateAssumeRolePolicy")
def update_assume_role_policy(call: Call) -> None:
    """Change who may assume a role; moto refuses a document without a version, and IAM takes it."""
    role = iam_backends[call.account]["aws"].get_role(call.params["RoleName"])
    try:
        document = json.loads(call.params["PolicyDocument"]) | {"Version": "2012-10-17"}
    except (TypeError, ValueError):
        raise ServiceError("MalformedPolicyDocument", "This policy contains invalid Json") from None
    IAMTrustPolicyDocumentValidator(json.dumps(document)).validate()
    role.assume_role_policy_document = call.params["PolicyDocument"]


@operation("kms", "EnableKeyRotation")
def enable_key_rotation(call: Call) -> Mapping[str, Any]:
    """Rotate a key, after the given number of days."""
    answer = call.moto()
    days = int(call.params.get("RotationPeriodInDays", ROTATION_DAYS))
    call.store(_Rotations)[_key_id(call)] = (days, datetime.now(UTC))
    return answer


@operation("kms", "GetKeyRotationStatus")
def get_key_rotation_status(call: Call) -> Mapping[str, Any]:
    """Say whether, how often and when next a key is rotated."""
    answer = call.moto()
    if not answer["KeyRotationEnabled"]:
        return answer
    days, since = call.store(_Rotations)[_key_id(call)]
    return answer | {
        "KeyId": _key_id(call),
        "RotationPeriodInDays": days,
        "NextRotationDate": since + timedelta(days=days),
    }


def _groups(call: Call) -> Iterator[SecurityGroup]:
    for of_vpc in list(ec2_backends[call.account][call.region].groups.values()):
        yield from list(of_vpc.values())


def _rules(group: SecurityGroup) -> list[SecurityGroupRule]:
    return [*group.ingress_rules, *group.egress_rules]


def _described(call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    """Complete rules, whose description moto gives only where the other end is a block."""
    found = {rule.id: rule for group in _groups(call) for rule in _rules(group)}
    for entry in answer.get("SecurityGroupRules", ()):
        if description := _description(found[entry["SecurityGroupRuleId"]]).get("Description"):
            entry["Description"] = description
    return answer


def _description(rule: SecurityGroupRule) -> dict[str, str]:
    """Give the part of a rule that holds its description."""
    found: dict[str, str] = rule.source_group or rule.ip_range
    return found


@operation("ec2", "DescribeSecurityGroupRules")
def describe_security_group_rules(call: Call) -> Mapping[str, Any]:
    """Describe rules, with what each is for."""
    return _described(call, call.moto())


@operation("ec2", "UpdateSecurityGroupRuleDescriptionsIngress")
@operation("ec2", "UpdateSecurityGroupRuleDescriptionsEgress")
def update_security_group_rule_descriptions(call: Call) -> Mapping[str, Any]:
    """Say anew what rules are for; moto knows them by their content alone, not by their id."""
    if "SecurityGroupRuleDescriptions" not in call.params:
        return call.moto()
    found = {rule.id: rule for group in _groups(call) for rule in _rules(group)}
    for entry in call.params["SecurityGroupRuleDescriptions"]:
        id_ = entry["SecurityGroupRuleId"]
        if id_ not in found:
            raise ServiceError(
                "InvalidSecurityGroupRuleId.NotFound",
                f"The security group rule ID '{id_}' does not exist",
            )
        _description(found[id_])["Description"] = entry.get("Description", "")
    return {"Return": True}


@operation("ec2", "DeleteSecurityGroup")
def delete_security_group(call: Call) -> Mapping[str, Any]:
    """Delete a group, unless a rule of another group names it."""
    id_ = call.params.get("GroupId")
    users = [
        group.id
        for group in _groups(call)
        if group.id != id_
        and any(rule.source_group.get("GroupId") == id_ for rule in _rules(group))
    ]
    if id_ and users:
        raise ServiceError("DependencyViolation", f"resource {id_} has a dependent object")
    return call.moto()
