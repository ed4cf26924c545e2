"""Security: keys that rest or stay the same, doors left open, a role that may too much."""

import json
from typing import Any

from breakages import Place, Steps, breaks
from standby.verify.probes.compute import launch_template
from standby.verify.probes.security import security_groups

ANYONE = {"Sid": "Anyone", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
IPV4 = {"IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}
IPV6 = {"Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "all"}]}


def group_of(here: Place, description: str) -> str:
    """Give the security group whose description begins so."""
    return next(
        str(group["GroupId"])
        for group in security_groups(here.site)
        if group["Description"].startswith(description)
    )


def admitting(here: Place, group: str, rule: dict[str, Any], heard: str) -> Steps:
    """Let something in, for a while."""
    yield from _allowing(here, "Ingress", group, rule, heard)


def letting_out(here: Place, group: str, rule: dict[str, Any], heard: str) -> Steps:
    """Let something out, for a while."""
    yield from _allowing(here, "Egress", group, rule, heard)


def _allowing(here: Place, way: str, group: str, rule: dict[str, Any], heard: str) -> Steps:
    made = here.call(f"ec2:AuthorizeSecurityGroup{way}", GroupId=group, IpPermissions=[rule])
    ids = [each["SecurityGroupRuleId"] for each in made["SecurityGroupRules"]]
    yield heard
    here.call(f"ec2:RevokeSecurityGroup{way}", GroupId=group, SecurityGroupRuleIds=ids)


def tcp(first: int, last: int | None = None, **ends: Any) -> dict[str, Any]:
    """Write a rule for TCP ports."""
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last or first, **ends}


def _key(here: Place) -> dict[str, str]:
    return {"KeyId": here.output("KmsKeyArn").rpartition("/")[2]}


@breaks("security.key")
def the_key_is_disabled(here: Place) -> Steps:
    here.call("kms:DisableKey", **_key(here))
    yield "Enabled False, KeyState Disabled"
    here.call("kms:EnableKey", **_key(here))


@breaks("security.key")
def the_key_is_about_to_be_deleted(here: Place) -> Steps:
    here.call("kms:ScheduleKeyDeletion", **_key(here))
    yield "KeyState PendingDeletion"
    here.call("kms:CancelKeyDeletion", **_key(here))
    here.call("kms:EnableKey", **_key(here))


@breaks("security.key-rotation")
def the_key_stays_the_same(here: Place) -> Steps:
    here.call("kms:DisableKeyRotation", **_key(here))
    yield "KeyRotationEnabled False"
    here.call("kms:EnableKeyRotation", **_key(here))


@breaks("security.key-alias")
def the_key_has_no_alias(here: Place) -> Steps:
    yield from _with_alias(here, None, "no alias")


@breaks("security.key-alias")
def the_alias_is_another_environments(here: Place) -> Steps:
    other = f"alias/standby-pre{here.suffix}-{here.region}"
    yield from _with_alias(here, other, other)


def _with_alias(here: Place, alias: str | None, heard: str) -> Steps:
    key = here.output("KmsKeyArn")
    (own,) = [each["AliasName"] for each in here.call("kms:ListAliases", KeyId=key)["Aliases"]]
    here.call("kms:DeleteAlias", AliasName=own)
    if alias:
        here.call("kms:CreateAlias", AliasName=alias, TargetKeyId=key)
    yield heard
    if alias:
        here.call("kms:DeleteAlias", AliasName=alias)
    here.call("kms:CreateAlias", AliasName=own, TargetKeyId=key)


@breaks("security.key-policy")
def anyone_may_use_the_key(here: Place) -> Steps:
    yield from with_key_policy(here, lambda each: [*each, ANYONE], "Anyone is open to anyone")


@breaks("security.key-policy")
def all_but_one_may_use_the_key(here: Place) -> Steps:
    root = f"arn:aws:iam::{here.output('KmsKeyArn').split(':')[4]}:root"
    but = {key: value for key, value in ANYONE.items() if key != "Principal"}
    but |= {"NotPrincipal": {"AWS": root}}
    yield from with_key_policy(here, lambda each: [*each, but], "Anyone is open to anyone")


@breaks("security.key-policy")
def the_account_may_not_administer_the_key(here: Place) -> Steps:
    yield from with_key_policy(
        here,
        lambda each: [s for s in each if s["Action"] != "kms:*"],
        "the account cannot administer it",
    )


def with_key_policy(here: Place, change: Any, heard: str) -> Steps:
    """Give the key another policy, for a while."""
    key = {"KeyId": here.output("KmsKeyArn"), "PolicyName": "default"}
    good = here.call("kms:GetKeyPolicy", **key)["Policy"]
    document = json.loads(good)
    bad = json.dumps(document | {"Statement": change(document["Statement"])})
    here.call("kms:PutKeyPolicy", **key, Policy=bad, BypassPolicyLockoutSafetyCheck=True)
    yield heard
    here.call("kms:PutKeyPolicy", **key, Policy=good)


@breaks("security.no-open-admin-ports")
def ssh_is_open_to_the_world(here: Place) -> Steps:
    group = group_of(here, "Application")
    yield from admitting(here, group, tcp(22, **IPV4), f"{group} opens 22 to 0.0.0.0/0")


@breaks("security.no-open-admin-ports")
def rdp_is_open_to_the_world_by_ipv6(here: Place) -> Steps:
    group = group_of(here, "Database")
    yield from admitting(here, group, tcp(3389, **IPV6), f"{group} opens 3389 to ::/0")


@breaks("security.no-open-admin-ports")
def a_range_of_ports_holds_ssh(here: Place) -> Steps:
    group = group_of(here, "Load balancer")
    yield from admitting(here, group, tcp(20, 30, **IPV4), f"{group} opens 22 to 0.0.0.0/0")


@breaks("security.no-open-admin-ports")
def everything_is_open_to_the_world(here: Place) -> Steps:
    group = group_of(here, "Shared files")
    yield from admitting(
        here, group, {"IpProtocol": "-1", **IPV4}, f"{group} opens 3389 to 0.0.0.0/0"
    )


@breaks("security.no-open-egress")
def everything_gets_out(here: Place) -> Steps:
    group = group_of(here, "Load balancer")
    rule = {"IpProtocol": "-1", **IPV4}
    yield from letting_out(here, group, rule, f"{group} lets everything out to 0.0.0.0/0")


@breaks("security.no-open-egress")
def everything_gets_out_by_ipv6(here: Place) -> Steps:
    group = group_of(here, "Database")
    rule = {"IpProtocol": "-1", **IPV6}
    yield from letting_out(here, group, rule, f"{group} lets everything out to ::/0")


@breaks("security.no-open-egress")
def every_tcp_port_leads_out(here: Place) -> Steps:
    group = group_of(here, "Application")
    yield from letting_out(here, group, tcp(0, 65535, **IPV4), f"{group} lets everything out")


@breaks("security.no-open-egress")
def the_default_group_is_in_use(here: Place) -> Steps:
    (default,) = [g["GroupId"] for g in security_groups(here.site) if g["GroupName"] == "default"]
    subnet = here.call(
        "ec2:DescribeSubnets", Filters=[{"Name": "vpc-id", "Values": [here.output("VpcId")]}]
    )["Subnets"][0]["SubnetId"]
    made = here.call("ec2:CreateNetworkInterface", SubnetId=subnet, Groups=[default])
    id_ = made["NetworkInterface"]["NetworkInterfaceId"]
    yield f"{id_} is in the default group"
    here.call("ec2:DeleteNetworkInterface", NetworkInterfaceId=id_)


@breaks("security.rules-described")
def a_rule_does_not_say_what_it_is_for(here: Place) -> Steps:
    group = group_of(here, "Application")
    rule = tcp(8080, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    yield from admitting(here, group, rule, f"{group} has a rule for tcp 8080")


@breaks("security.rules-described")
def a_rule_for_ipv6_does_not_say_what_it_is_for(here: Place) -> Steps:
    group = group_of(here, "Application")
    rule = tcp(8080, 8090, Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}])
    yield from letting_out(here, group, rule, f"{group} has a rule for tcp 8080-8090")


@breaks("security.instance-role")
def instances_may_do_anything_to_a_service(here: Place) -> Steps:
    yield from _allowed(here, "s3:*", "arn:aws:s3:::bucket", "Extra allows s3:*")


@breaks("security.instance-role")
def instances_may_read_anything_of_a_service(here: Place) -> Steps:
    yield from _allowed(here, "s3:Get*", "arn:aws:s3:::bucket", "Extra allows s3:Get*")


@breaks("security.instance-role")
def instances_may_decrypt_with_any_key(here: Place) -> Steps:
    yield from _allowed(here, "kms:Decrypt", "*", "Extra allows kms:Decrypt on *")


def _allowed(here: Place, action: str, resource: str, heard: str) -> Steps:
    policy = {"RoleName": _role(here), "PolicyName": "Extra"}
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    here.call("iam:PutRolePolicy", **policy, PolicyDocument=document)
    yield heard
    here.call("iam:DeleteRolePolicy", **policy)


@breaks("security.instance-role")
def instances_are_administrators(here: Place) -> Steps:
    policy = {
        "RoleName": _role(here),
        "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
    }
    here.call("iam:AttachRolePolicy", **policy)
    yield "AdministratorAccess allows * on *"
    here.call("iam:DetachRolePolicy", **policy)


def _role(here: Place) -> str:
    name = launch_template(here.site)["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    found = here.call("iam:GetInstanceProfile", InstanceProfileName=name)
    return str(found["InstanceProfile"]["Roles"][0]["RoleName"])
