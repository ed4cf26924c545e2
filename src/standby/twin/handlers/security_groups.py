"""Security: security groups and the rules that are resources of their own.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon EC2".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Created, Handler, Resource, gone_is_fine, handler
from standby.twin.handlers.network import Ec2Resource

_ENDS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "SourceSecurityGroupName": ("UserIdGroupPairs", "GroupName"),
}
"""The properties that name a rule's other end, and where EC2's ``IpPermission`` has it."""
_PROPERTIES = {"IpProtocol", "FromPort", "ToPort", "Description", "SourceSecurityGroupOwnerId"}
_ANYWHERE = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
"""The way out that EC2 gives to a new group; the template's own rules take its place."""


@handler("AWS::EC2::SecurityGroup")
class SecurityGroup(Ec2Resource):
    """A stateful filter of what reaches, and leaves, the interfaces that are in it."""

    def make(self, r: Resource) -> Created:
        """Create the group, with EC2's rule that lets everything out."""
        ec2 = r.client("ec2")
        id_ = ec2.create_security_group(
            GroupName=r.properties.get("GroupName") or r.generated_name(255),
            Description=r.properties["GroupDescription"],
            **r.properties.pick("VpcId"),
        )["GroupId"]
        (group,) = ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]
        return Created(id_, {"GroupId": id_, "Id": id_, "VpcId": group["VpcId"]})

    def configure(self, r: Resource) -> None:
        """Bring tags and rules to what is wanted; rules that other resources made stay."""
        super().configure(r)
        for key, direction in (
            ("SecurityGroupIngress", "ingress"),
            ("SecurityGroupEgress", "egress"),
        ):
            before, after = r.previous.get(key, []), r.properties.get(key, [])
            if direction == "egress":
                before = before or [_ANYWHERE]
                after = after or [_ANYWHERE]
            _change(r, "revoke", direction, [rule for rule in before if rule not in after])
            _change(r, "authorize", direction, [rule for rule in after if rule not in before])

    def delete(self, r: Resource) -> None:
        """Delete the group; a rule of another group that names it forbids that."""
        with gone_is_fine():
            r.client("ec2").delete_security_group(GroupId=r.physical_id)


class _Rule(Handler):
    """One rule of a group that the group's own resource does not hold.

    Attributes:
        direction: How EC2's operations name it.
    """

    direction: ClassVar[str]

    def create(self, r: Resource) -> Created:
        """Add the rule."""
        ec2 = r.client("ec2")
        group = r.properties.pick("GroupId", "GroupName")
        rule = {key: value for key, value in r.properties.items() if key not in group}
        answer = getattr(ec2, f"authorize_security_group_{self.direction}")(
            **group, IpPermissions=[permission(rule, r.logical_id)]
        )
        id_ = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return Created(id_, {"Id": id_})

    def update(self, r: Resource) -> Created:
        """Change the description, the one thing that can change."""
        description = r.properties.get("Description", "")
        getattr(r.client("ec2"), f"update_security_group_rule_descriptions_{self.direction}")(
            **r.properties.pick("GroupId", "GroupName"),
            SecurityGroupRuleDescriptions=[
                {"SecurityGroupRuleId": r.physical_id, "Description": description}
            ],
        )
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Remove the rule."""
        with gone_is_fine():
            getattr(r.client("ec2"), f"revoke_security_group_{self.direction}")(
                **r.properties.pick("GroupId", "GroupName"), SecurityGroupRuleIds=[r.physical_id]
            )


@handler("AWS::EC2::SecurityGroupIngress")
class SecurityGroupIngress(_Rule):
    """One way into a group."""

    direction = "ingress"


@handler("AWS::EC2::SecurityGroupEgress")
class SecurityGroupEgress(_Rule):
    """One way out of a group."""

    direction = "egress"


def permission(rule: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Bring a rule to the shape of EC2's API.

    Raises:
        TemplateError: It has no other end, or more than one.
    """
    ends = [key for key in _ENDS if key in rule]
    if len(ends) != 1:
        raise TemplateError(f"{owner}: a rule has exactly one of {', '.join(_ENDS)}")
    if unknown := set(rule) - _PROPERTIES - set(ends):
        raise TemplateError(f"{owner}: the twin does not support {min(unknown)} of a rule")
    place, name = _ENDS[ends[0]]
    end = {name: rule[ends[0]]}
    if "Description" in rule:
        end["Description"] = rule["Description"]
    if "SourceSecurityGroupOwnerId" in rule:
        end["UserId"] = rule["SourceSecurityGroupOwnerId"]
    ports = {key: int(rule[key]) for key in ("FromPort", "ToPort") if key in rule}
    return {"IpProtocol": str(rule["IpProtocol"]), **ports, place: [end]}


def _change(r: Resource, verb: str, direction: str, rules: list[Mapping[str, Any]]) -> None:
    if rules:
        getattr(r.client("ec2"), f"{verb}_security_group_{direction}")(
            GroupId=r.physical_id,
            IpPermissions=[permission(rule, r.logical_id) for rule in rules],
        )
