"""Security on the twin: keys, security groups, identities and parameters, through their APIs."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import Deploy, Deployed, DeploymentFailed

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
    ],
}
SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
ANYWHERE = "0.0.0.0/0"


def policy(action: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def key(**properties: Any) -> dict[str, Any]:
    return {"Key": {"Type": "AWS::KMS::Key", "Properties": properties}}


def test_a_key_is_enabled_rotated_and_tagged(deploy: Deploy) -> None:
    tags = [{"Key": "Environment", "Value": "test"}]
    stack = deploy(
        key(EnableKeyRotation=True, RotationPeriodInDays=90, Tags=tags, Description="data")
    )
    kms, named = stack.client("kms"), {"KeyId": stack["Key"]}
    metadata = kms.describe_key(**named)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Description"]) == ("Enabled", "data")
    rotation = kms.get_key_rotation_status(**named)
    assert (rotation["KeyRotationEnabled"], rotation["RotationPeriodInDays"]) == (True, 90)
    assert kms.list_resource_tags(**named)["Tags"] == [
        {"TagKey": "Environment", "TagValue": "test"}
    ]


def test_a_key_changes_with_its_template(deploy: Deploy) -> None:
    stack = deploy(key(EnableKeyRotation=True, Tags=[{"Key": "a", "Value": "1"}]))
    id_ = stack["Key"]
    document = policy("kms:*")
    document["Statement"][0]["Principal"] = {"AWS": "*"}
    stack.update(key(EnableKeyRotation=False, Enabled=False, KeyPolicy=document, Description="new"))
    kms, named = stack.client("kms"), {"KeyId": id_}
    assert stack["Key"] == id_
    assert kms.describe_key(**named)["KeyMetadata"]["KeyState"] == "Disabled"
    assert kms.describe_key(**named)["KeyMetadata"]["Description"] == "new"
    assert not kms.get_key_rotation_status(**named)["KeyRotationEnabled"]
    assert json.loads(kms.get_key_policy(**named, PolicyName="default")["Policy"]) == document
    assert kms.list_resource_tags(**named)["Tags"] == []


def test_a_deleted_key_waits_for_its_window_and_its_alias_is_free_again(deploy: Deploy) -> None:
    alias = {
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/once-more", "TargetKeyId": {"Ref": "Key"}},
        }
    }
    first = deploy(key(PendingWindowInDays=7) | alias)
    kms, id_ = first.client("kms"), first["Key"]
    assert kms.describe_key(KeyId="alias/once-more")["KeyMetadata"]["KeyId"] == id_
    first.delete()
    metadata = kms.describe_key(KeyId=id_)["KeyMetadata"]
    assert metadata["KeyState"] == "PendingDeletion"
    again = deploy(key() | alias)
    assert kms.describe_key(KeyId="alias/once-more")["KeyMetadata"]["KeyId"] == again["Key"]


def groups(**more: Any) -> dict[str, Any]:
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Front": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "front",
                "VpcId": {"Ref": "Vpc"},
                "SecurityGroupIngress": [rule(443, CidrIp=ANYWHERE, Description="web")],
            },
        },
        "Back": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "back",
                "VpcId": {"Ref": "Vpc"},
                "SecurityGroupEgress": [rule(443, CidrIp=ANYWHERE, Description="out")],
                **more,
            },
        },
        "FromFront": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": {"Fn::GetAtt": ["Back", "GroupId"]},
                **rule(5432, Description="front to back"),
                "SourceSecurityGroupId": {"Ref": "Front"},
            },
        },
    }


def rule(port: int, **end: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **end}


def group(stack: Deployed, name: str) -> Any:
    answer = stack.client("ec2").describe_security_groups(GroupIds=[stack[name]])
    return answer["SecurityGroups"][0]


def test_a_group_has_the_rules_of_its_template_and_says_what_they_are_for(deploy: Deploy) -> None:
    stack = deploy(groups())
    (way_out,) = group(stack, "Back")["IpPermissionsEgress"]
    assert way_out["IpRanges"] == [{"CidrIp": ANYWHERE, "Description": "out"}]
    (way_in,) = group(stack, "Back")["IpPermissions"]
    (source,) = way_in["UserIdGroupPairs"]
    assert (source["GroupId"], source["Description"]) == (stack["Front"], "front to back")
    rules = stack.client("ec2").describe_security_group_rules(
        SecurityGroupRuleIds=[stack["FromFront"]]
    )["SecurityGroupRules"]
    assert rules[0]["Description"] == "front to back"


def test_a_group_without_a_way_out_in_its_template_lets_everything_out(deploy: Deploy) -> None:
    (way_out,) = group(deploy(groups()), "Front")["IpPermissionsEgress"]
    assert (way_out["IpProtocol"], way_out["IpRanges"]) == ("-1", [{"CidrIp": ANYWHERE}])


def test_changed_rules_take_the_place_of_the_former_and_leave_others_alone(deploy: Deploy) -> None:
    stack = deploy(groups(SecurityGroupIngress=[rule(22, CidrIp="10.0.0.0/8")]))
    changed = groups(SecurityGroupIngress=[rule(80, CidrIp="10.0.0.0/8", Description="now")])
    changed["Back"]["Properties"].pop("SecurityGroupEgress")
    changed["FromFront"]["Properties"]["Description"] = "renamed"
    id_ = stack["FromFront"]
    stack.update(changed)
    back = group(stack, "Back")
    assert {entry["FromPort"] for entry in back["IpPermissions"]} == {80, 5432}
    pairs = [pair for entry in back["IpPermissions"] for pair in entry["UserIdGroupPairs"]]
    assert [pair["Description"] for pair in pairs] == ["renamed"]
    assert stack["FromFront"] == id_
    assert [entry["IpProtocol"] for entry in back["IpPermissionsEgress"]] == ["-1"]


def test_a_group_that_another_names_cannot_be_deleted(deploy: Deploy) -> None:
    stack = deploy(groups())
    with pytest.raises(ClientError, match="DependencyViolation"):
        stack.client("ec2").delete_security_group(GroupId=stack["Front"])


def test_deleted_groups_are_gone(deploy: Deploy) -> None:
    stack = deploy(groups())
    ids = {stack["Front"], stack["Back"]}
    stack.delete()
    left = stack.client("ec2").describe_security_groups()["SecurityGroups"]
    assert not ids & {found["GroupId"] for found in left}


def role(**properties: Any) -> dict[str, Any]:
    return {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": TRUST, **properties},
        }
    }


def test_a_role_has_its_policies_and_they_can_be_read(deploy: Deploy) -> None:
    inline = [{"PolicyName": "own", "PolicyDocument": policy("s3:GetObject")}]
    stack = deploy(role(Policies=inline, ManagedPolicyArns=[SSM_CORE], Description="d"))
    iam, named = stack.client("iam"), {"RoleName": stack["Role"]}
    own = iam.get_role_policy(**named, PolicyName="own")["PolicyDocument"]
    assert own == policy("s3:GetObject")
    (attached,) = iam.list_attached_role_policies(**named)["AttachedPolicies"]
    version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=SSM_CORE, VersionId=version)["PolicyVersion"]
    assert "ssm:UpdateInstanceInformation" in json.dumps(document["Document"])


def test_a_role_changes_with_its_template(deploy: Deploy) -> None:
    inline = [{"PolicyName": "own", "PolicyDocument": policy("s3:GetObject")}]
    stack = deploy(role(Policies=inline, ManagedPolicyArns=[SSM_CORE], Tags=[tag("a")]))
    named = {"RoleName": stack["Role"]}
    other = [{"PolicyName": "other", "PolicyDocument": policy("s3:PutObject")}]
    stack.update(role(Policies=other, MaxSessionDuration=7200, Tags=[tag("b")]))
    iam = stack.client("iam")
    assert stack["Role"] == named["RoleName"]
    assert iam.list_role_policies(**named)["PolicyNames"] == ["other"]
    assert iam.list_attached_role_policies(**named)["AttachedPolicies"] == []
    assert iam.get_role(**named)["Role"]["MaxSessionDuration"] == 7200
    assert iam.list_role_tags(**named)["Tags"] == [tag("b")]


def test_a_trust_policy_needs_no_version_but_must_be_one(deploy: Deploy) -> None:
    stack = deploy(role())
    changed = {"Statement": TRUST["Statement"]}
    stack.update(role(AssumeRolePolicyDocument=changed))
    iam, named = stack.client("iam"), {"RoleName": stack["Role"]}
    assert iam.get_role(**named)["Role"]["AssumeRolePolicyDocument"] == changed
    for document in ("{", "[]", '{"Statement": [{"Effect": "Allow", "Action": "s3:*"}]}'):
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            iam.update_assume_role_policy(**named, PolicyDocument=document)


def test_an_unknown_managed_policy_is_refused_and_leaves_no_role(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="NoSuchPolicy"):
        deploy(role(RoleName="half", ManagedPolicyArns=["arn:aws:iam::aws:policy/NoSuchPolicy"]))


def tag(key: str) -> dict[str, str]:
    return {"Key": key, "Value": "1"}


def with_profile(action: str, roles: list[str]) -> dict[str, Any]:
    names = [{"Ref": name} for name in roles]
    return {
        **role(),
        "Second": role()["Role"],
        "Profile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": names[:1], "Path": "/app/"},
        },
        "Inline": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyName": "p", "PolicyDocument": policy(action), "Roles": names},
        },
        "Managed": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": policy(action), "Roles": names},
        },
    }


def test_policies_and_profile_follow_their_template(deploy: Deploy) -> None:
    stack = deploy(with_profile("s3:GetObject", ["Role"]))
    stack.update(with_profile("s3:PutObject", ["Second"]))
    iam, first, second = stack.client("iam"), stack["Role"], stack["Second"]
    profile = iam.get_instance_profile(InstanceProfileName=stack["Profile"])["InstanceProfile"]
    assert [held["RoleName"] for held in profile["Roles"]] == [second]
    assert iam.list_role_policies(RoleName=first)["PolicyNames"] == []
    found = iam.get_role_policy(RoleName=second, PolicyName="p")["PolicyDocument"]
    assert found == policy("s3:PutObject")
    (attached,) = iam.list_attached_role_policies(RoleName=second)["AttachedPolicies"]
    assert attached["PolicyArn"] == stack["Managed"]
    (version,) = iam.list_policy_versions(PolicyArn=stack["Managed"])["Versions"]
    document = iam.get_policy_version(PolicyArn=stack["Managed"], VersionId=version["VersionId"])
    assert document["PolicyVersion"]["Document"] == policy("s3:PutObject")


def test_deleted_identities_are_gone(deploy: Deploy) -> None:
    stack = deploy(with_profile("s3:GetObject", ["Role"]))
    iam = stack.client("iam")
    stack.delete()
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


def parameter(**properties: Any) -> dict[str, Any]:
    return {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", **properties}}}


def test_a_parameter_is_read_changed_and_deleted(deploy: Deploy) -> None:
    stack = deploy(parameter(Name="/test/p", Value="one", Description="d"))
    ssm = stack.client("ssm")
    assert ssm.get_parameter(Name="/test/p")["Parameter"]["Value"] == "one"
    stack.update(parameter(Name="/test/p", Value="two", Tags={"a": "1"}))
    found = ssm.get_parameter(Name="/test/p")["Parameter"]
    assert (found["Value"], found["Version"]) == ("two", 2)
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/test/p")["TagList"]
    assert tags == [tag("a")]
    stack.delete()
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/test/p")


def test_a_parameter_that_exists_is_not_taken_over(deploy: Deploy) -> None:
    deploy(parameter(Name="/test/taken", Value="one"))
    with pytest.raises(DeploymentFailed, match="ParameterAlreadyExists"):
        deploy(parameter(Name="/test/taken", Value="two"))


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::KMS::Key", {"Rotates": True}),
        ("AWS::IAM::Role", {"AssumeRolePolicyDocument": TRUST, "Rotates": True}),
        ("AWS::SSM::Parameter", {"Type": "String", "Value": "v", "Rotates": True}),
        ("AWS::EC2::SecurityGroup", {"GroupDescription": "d", "Rotates": True}),
    ],
)
def test_an_unknown_property_is_refused_by_name(
    deploy: Deploy, kind: str, properties: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="unknown property 'Rotates'"):
        deploy({"R": {"Type": kind, "Properties": properties}})
