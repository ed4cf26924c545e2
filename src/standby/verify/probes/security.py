"""Security: each side's key, the paths its security groups open, and what instances may do."""

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network
from typing import Any

from standby.verify.policy import is_open, listed, statements
from standby.verify.probe import Verdict, expect, expect_faultless, expect_fields, probe
from standby.verify.probes.compute import launch_template
from standby.verify.probes.network import in_vpc
from standby.verify.site import Site, only

ADMIN_PORTS = (22, 3389)
_UNSCOPABLE = ("ssm:", "ssmmessages:", "ec2messages:", "ec2:Describe", "cloudwatch:PutMetricData")
"""Actions of instances for which AWS offers no resource-level permissions, so they take ``*``."""


@probe("security.key")
def key(site: Site) -> Verdict:
    """The key is the customer's own, and enabled."""
    metadata = site.ask("kms:DescribeKey", KeyId=site.output("KmsKeyArn"))["KeyMetadata"]
    return expect_fields(metadata, Enabled=True, KeyState="Enabled", KeyManager="CUSTOMER")


@probe("security.key-rotation")
def key_rotation(site: Site) -> Verdict:
    """The key is rotated every year."""
    rotation = site.ask("kms:GetKeyRotationStatus", KeyId=site.output("KmsKeyArn"))
    return expect_fields(rotation, KeyRotationEnabled=True)


@probe("security.key-alias")
def key_alias(site: Site) -> Verdict:
    """The key has the alias of this environment and region, which the secret's copy relies on."""
    aliases = site.ask("kms:ListAliases", KeyId=site.output("KmsKeyArn"))["Aliases"]
    names = [alias["AliasName"] for alias in aliases]
    wanted = f"alias/standby-{site.suffix}-{site.region}"
    return expect(wanted in names, wanted, ", ".join(names) or "no alias")


@probe("security.key-policy")
def key_policy(site: Site) -> Verdict:
    """The key's policy is open to no stranger, and leaves its administration to the account."""
    policy = key_statements(site, site.output("KmsKeyArn"))
    account = site.output("KmsKeyArn").split(":")[4]
    root = f":iam::{account}:root"
    faults = [f"{s.get('Sid', 'a statement')} is open to anyone" for s in policy if is_open(s)]
    if not any(
        statement["Effect"] == "Allow"
        and "kms:*" in listed(statement.get("Action", []))
        and any(str(arn).endswith(root) for arn in _aws_principals(statement))
        for statement in policy
    ):
        faults.append("the account cannot administer it")
    return expect_faultless("administered by the account, open to no stranger", policy, faults)


@probe("security.no-open-admin-ports")
def no_open_admin_ports(site: Site) -> Verdict:
    """No security group lets the world in to SSH or RDP."""
    groups = security_groups(site)
    faults = [
        f"{group['GroupId']} opens {port} to {cidr}"
        for group in groups
        for rule, cidr in open_rules(group["IpPermissions"])
        for port in ADMIN_PORTS
        if _covers(rule, port)
    ]
    return expect_faultless("22 and 3389 closed to the world", groups, faults)


@probe("security.no-open-egress")
def no_open_egress(site: Site) -> Verdict:
    """No security group lets everything out; the default one, which does, is left unused."""
    groups = security_groups(site)
    faults = [
        f"{group['GroupId']} lets everything out to {cidr}"
        for group in groups
        if group["GroupName"] != "default"
        for rule, cidr in open_rules(group["IpPermissionsEgress"])
        if _covers(rule, 22) and _covers(rule, 65535)
    ]
    default = only((g for g in groups if g["GroupName"] == "default"), "default security group")
    users = site.ask(
        "ec2:DescribeNetworkInterfaces",
        Filters=[{"Name": "group-id", "Values": [default["GroupId"]]}],
    )["NetworkInterfaces"]
    faults += [f"{user['NetworkInterfaceId']} is in the default group" for user in users]
    return expect_faultless("no group with a way out to everywhere", groups, faults)


@probe("security.rules-described")
def rules_described(site: Site) -> Verdict:
    """Every rule of every security group says what it is for."""
    groups = [group for group in security_groups(site) if group["GroupName"] != "default"]
    faults = [
        f"{group['GroupId']} has a rule for {_traffic(rule)} without a description"
        for group in groups
        for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"])
        for end in ends(rule)
        if not end.get("Description")
    ]
    return expect_faultless("a description on every rule", groups, faults)


@probe("security.instance-role")
def instance_role(site: Site) -> Verdict:
    """The instances' role names the actions and resources it needs; no wildcard stands for them."""
    policies = _role_policies(site)
    faults = [
        f"{name} allows {action} on {resource}"
        for name, statement in policies
        if statement["Effect"] == "Allow"
        for action in listed(statement.get("Action", "*"))
        for resource in listed(statement.get("Resource", "*"))
        if "*" in action
        or (resource == "*" and not action.startswith(_UNSCOPABLE) and "Condition" not in statement)
    ]
    return expect_faultless("named actions on named resources", policies, faults)


def key_statements(site: Site, key_id: str) -> list[Any]:
    """Give the statements of a key's policy."""
    answer = site.ask("kms:GetKeyPolicy", KeyId=key_id, PolicyName="default")
    return statements(answer["Policy"])


def security_groups(site: Site) -> list[dict[str, Any]]:
    """Describe every security group of the side's VPC."""
    groups: list[dict[str, Any]] = site.ask("ec2:DescribeSecurityGroups", Filters=in_vpc(site))[
        "SecurityGroups"
    ]
    return groups


def ends(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what is at the other end of a rule: blocks of addresses, groups, lists of prefixes."""
    kinds = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
    return [end for kind in kinds for end in rule.get(kind, [])]


def open_rules(rules: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Give each rule that has the whole internet at its other end, with that block."""
    for rule in rules:
        for block in (
            *(each["CidrIp"] for each in rule.get("IpRanges", [])),
            *(each["CidrIpv6"] for each in rule.get("Ipv6Ranges", [])),
        ):
            if ip_network(block).prefixlen == 0:
                yield rule, block


def closed_to_all_but(site: Site, group_ids: list[str], port: int) -> Verdict:
    """Judge that groups admit one port only, from the two networks, and let nothing out."""
    groups = [group for group in security_groups(site) if group["GroupId"] in group_ids]
    networks = [IPv4Network(each.output("VpcCidr")) for each in (site, site.other)]
    faults = [
        f"{group['GroupId']} admits {_traffic(rule)} from {_name(end)}"
        for group in groups
        for rule in group["IpPermissions"]
        for end in ends(rule)
        if (rule.get("FromPort"), rule.get("ToPort")) != (port, port)
        or not _is_within(end, networks)
    ]
    faults += [
        f"{group['GroupId']} lets out {_traffic(rule)}"
        for group in groups
        for rule in group["IpPermissionsEgress"]
        if not _is_dead_end(rule)
    ]
    return expect_faultless(f"only port {port} of both networks in, nothing out", groups, faults)


def _traffic(rule: dict[str, Any]) -> str:
    """Name a security group rule's protocol and ports."""
    if rule["IpProtocol"] == "-1":
        return "everything"
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return f"{rule['IpProtocol']} {first}" + ("" if first == last else f"-{last}")


def _is_dead_end(rule: dict[str, Any]) -> bool:
    """Tell CDK's rule for "nothing": a group without any egress rule would get allow-all."""
    return [end.get("CidrIp") for end in ends(rule)] == ["255.255.255.255/32"]


def _is_within(end: dict[str, Any], networks: list[IPv4Network]) -> bool:
    """Tell whether a rule's other end is a group, or a block of addresses of some networks."""
    if not (block := end.get("CidrIp")):
        return "GroupId" in end
    return any(IPv4Network(block).subnet_of(network) for network in networks)


def _name(end: dict[str, Any]) -> str:
    names = ("CidrIp", "CidrIpv6", "PrefixListId", "GroupId")
    return str(next(end[name] for name in names if name in end))


def _covers(rule: dict[str, Any], port: int) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))
    return first <= port <= last


def _aws_principals(statement: Any) -> list[Any]:
    principal = statement.get("Principal", {})
    return listed(principal.get("AWS", [])) if isinstance(principal, dict) else [principal]


def _role_policies(site: Site) -> list[tuple[str, Any]]:
    """Give each statement of each policy of the instances' role, with the policy's name."""
    profile = launch_template(site)["IamInstanceProfile"]
    name = profile.get("Name") or profile["Arn"].rpartition("/")[2]
    answer = site.ask("iam:GetInstanceProfile", InstanceProfileName=name)
    role = only(answer["InstanceProfile"]["Roles"], f"role in instance profile {name}")["RoleName"]
    documents = {
        policy: site.ask("iam:GetRolePolicy", RoleName=role, PolicyName=policy)["PolicyDocument"]
        for policy in site.ask("iam:ListRolePolicies", RoleName=role)["PolicyNames"]
    }
    for policy in site.ask("iam:ListAttachedRolePolicies", RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = site.ask("iam:GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = site.ask("iam:GetPolicyVersion", PolicyArn=arn, VersionId=version)
        documents[policy["PolicyName"]] = answer["PolicyVersion"]["Document"]
    return [
        (policy, statement)
        for policy, document in documents.items()
        for statement in statements(document)
    ]
