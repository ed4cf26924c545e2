"""Load balancing on the twin: load balancers, target groups, listeners and rules, by their API."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.moto_api._internal.models import moto_api_backend
from twin_compute import SUBNETS, balancer, network
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.twin import Twin

PROTECTED = {"Key": "deletion_protection.enabled", "Value": "true"}
UNPROTECTED = {"Key": "deletion_protection.enabled", "Value": "false"}
NAMES = ("DNSName", "CanonicalHostedZoneID", "LoadBalancerFullName", "LoadBalancerName")


@pytest.fixture(scope="module")
def twin() -> Twin:
    """Give a twin whose clock runs 600 times as fast."""
    moto_api_backend.reset()
    return Twin(speed=600)


def application(**properties: Any) -> dict[str, Any]:
    return network() | balancer(**properties)


def described(stack: Deployed) -> dict[str, Any]:
    answer = stack.client("elbv2").describe_load_balancers(LoadBalancerArns=[stack["Balancer"]])
    found: dict[str, Any] = answer["LoadBalancers"][0]
    return found


def attributes(stack: Deployed) -> dict[str, str]:
    answer = stack.client("elbv2").describe_load_balancer_attributes(
        LoadBalancerArn=stack["Balancer"]
    )
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def targets(stack: Deployed) -> dict[str, Any]:
    answer = stack.client("elbv2").describe_target_groups(TargetGroupArns=[stack["Targets"]])
    found: dict[str, Any] = answer["TargetGroups"][0]
    return found


def listeners(stack: Deployed) -> list[dict[str, Any]]:
    answer = stack.client("elbv2").describe_listeners(LoadBalancerArn=stack["Balancer"])
    found: list[dict[str, Any]] = answer["Listeners"]
    return found


def tags(stack: Deployed, name: str) -> dict[str, str]:
    answer = stack.client("elbv2").describe_tags(ResourceArns=[stack[name]])
    return {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}


@pytest.mark.parametrize(
    ("region", "zone"), [(PRIMARY, "ZHURV8PSTC4K8"), (STANDBY, "Z3Q77PNBQS71R4")]
)
def test_a_load_balancer_is_active_under_the_name_that_its_stack_puts_out(
    deploy: Deploy, region: str, zone: str
) -> None:
    outputs = {name: {"Value": {"Fn::GetAtt": ["Balancer", name]}} for name in NAMES}
    resources = network(region) | balancer(
        Name="front",
        SecurityGroups=[{"Ref": "Firewall"}],
        LoadBalancerAttributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "30"}],
        Tags=[{"Key": "Environment", "Value": "test"}],
    )
    stack = deploy({"Resources": resources, "Outputs": outputs}, region)
    found = described(stack)
    assert found["State"]["Code"] == "active"
    assert found["Scheme"] == "internet-facing"
    assert found["SecurityGroups"] == [stack["Firewall"]]
    assert {each["SubnetId"] for each in found["AvailabilityZones"]} == {
        stack["Subneta"],
        stack["Subnetb"],
    }
    assert stack.outputs == {
        "DNSName": found["DNSName"],
        "CanonicalHostedZoneID": zone,
        "LoadBalancerFullName": found["LoadBalancerArn"].partition(":loadbalancer/")[2],
        "LoadBalancerName": "front",
    }
    assert attributes(stack)["idle_timeout.timeout_seconds"] == "30"
    assert attributes(stack)["routing.http.drop_invalid_header_fields.enabled"] == "false"
    assert tags(stack, "Balancer") == {"Environment": "test"}


def test_a_load_balancer_changes_with_its_template(deploy: Deploy) -> None:
    stack = deploy(application(Tags=[{"Key": "old", "Value": "1"}]))
    arn = stack["Balancer"]
    third = {
        "Third": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "CidrBlock": "10.0.9.0/24",
                "AvailabilityZone": "eu-west-2c",
            },
        }
    }
    drop = {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"}
    stack.update(
        application(
            Subnets=[*SUBNETS, {"Ref": "Third"}],
            SecurityGroups=[{"Ref": "Firewall"}],
            LoadBalancerAttributes=[drop],
            Tags=[{"Key": "new", "Value": "2"}],
        )
        | third
    )
    assert stack["Balancer"] == arn
    assert len(described(stack)["AvailabilityZones"]) == 3
    assert described(stack)["SecurityGroups"] == [stack["Firewall"]]
    assert attributes(stack)[drop["Key"]] == "true"
    assert tags(stack, "Balancer") == {"new": "2"}


def test_deletion_protection_is_honoured_until_it_is_taken_off(deploy: Deploy) -> None:
    stack = deploy(application(LoadBalancerAttributes=[PROTECTED]))
    with pytest.raises(DeploymentFailed, match=r"DELETE_FAILED.*deletion protection is enabled"):
        stack.delete()
    named = {"LoadBalancerArn": stack["Balancer"]}
    stack.client("elbv2").modify_load_balancer_attributes(**named, Attributes=[UNPROTECTED])


def test_two_load_balancers_of_one_name_are_refused(deploy: Deploy) -> None:
    template = application(Name="front")
    template["Second"] = template["Balancer"]
    with pytest.raises(DeploymentFailed, match="DuplicateLoadBalancerName"):
        deploy(template)


def test_other_types_of_load_balancer_are_refused_by_name(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="no load balancers of type 'network'"):
        deploy(application(Type="network"))


def test_a_target_group_asks_as_its_template_says(deploy: Deploy) -> None:
    template = application()
    template["Targets"]["Properties"] |= {
        "HealthCheckTimeoutSeconds": 4,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 3,
        "Matcher": {"HttpCode": "200-204"},
        "TargetGroupAttributes": [
            {"Key": "deregistration_delay.timeout_seconds", "Value": "30"},
        ],
    }
    stack = deploy(
        {
            "Resources": template,
            "Outputs": {"Full": {"Value": {"Fn::GetAtt": ["Targets", "TargetGroupFullName"]}}},
        }
    )
    found = targets(stack)
    wanted = {
        "HealthCheckEnabled": True,
        "HealthCheckPath": "/health",
        "HealthCheckIntervalSeconds": 10,
        "HealthCheckTimeoutSeconds": 4,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 3,
        "Matcher": {"HttpCode": "200-204"},
        "LoadBalancerArns": [stack["Balancer"]],
        "Port": 80,
    }
    assert {key: found[key] for key in wanted} == wanted
    assert stack.outputs["Full"] == stack["Targets"].rpartition(":")[2]
    answer = stack.client("elbv2").describe_target_group_attributes(TargetGroupArn=stack["Targets"])
    assert template["Targets"]["Properties"]["TargetGroupAttributes"][0] in answer["Attributes"]


def test_health_checks_change_with_the_template_and_back_to_their_defaults(deploy: Deploy) -> None:
    stack = deploy(application())
    arn = stack["Targets"]
    changed = application()
    changed["Targets"]["Properties"]["HealthCheckEnabled"] = "true"
    changed["Targets"]["Properties"]["HealthCheckPath"] = "/ready"
    del changed["Targets"]["Properties"]["HealthCheckIntervalSeconds"]
    stack.update(changed)
    assert stack["Targets"] == arn
    assert targets(stack)["HealthCheckPath"] == "/ready"
    assert targets(stack)["HealthCheckIntervalSeconds"] == 30


def test_another_port_replaces_the_target_group_behind_its_listener(deploy: Deploy) -> None:
    stack = deploy(application())
    before = stack["Targets"]
    changed = application()
    changed["Targets"]["Properties"]["Port"] = 8080
    stack.update(changed)
    assert stack["Targets"] != before
    assert [each["DefaultActions"][0]["TargetGroupArn"] for each in listeners(stack)] == [
        stack["Targets"]
    ]
    answer = stack.client("elbv2").describe_target_groups(LoadBalancerArn=stack["Balancer"])
    assert [each["TargetGroupArn"] for each in answer["TargetGroups"]] == [stack["Targets"]]


def test_registered_addresses_come_and_go_with_the_template(deploy: Deploy) -> None:
    def addressed(*addresses: str) -> dict[str, Any]:
        template = application()
        template["Targets"]["Properties"] |= {
            "TargetType": "ip",
            "Targets": [{"Id": address} for address in addresses],
        }
        return template

    stack = deploy(addressed("10.0.0.7", "10.0.0.8"))
    stack.update(addressed("10.0.0.8", "10.0.0.9"))
    answer = stack.client("elbv2").describe_target_health(TargetGroupArn=stack["Targets"])
    states = {
        each["Target"]["Id"]: each["TargetHealth"]["State"]
        for each in answer["TargetHealthDescriptions"]
    }
    assert states["10.0.0.7"] == "draining"
    assert set(states) == {"10.0.0.7", "10.0.0.8", "10.0.0.9"}


def test_a_listener_can_redirect_and_changes_in_place(deploy: Deploy) -> None:
    stack = deploy(application())
    arn = stack["Listener"]
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    changed = application()
    changed["Listener"]["Properties"] |= {
        "Port": "8080",
        "DefaultActions": [{"Type": "redirect", "RedirectConfig": redirect}],
    }
    stack.update(changed)
    (listener,) = listeners(stack)
    assert (listener["ListenerArn"], listener["Port"]) == (arn, 8080)
    assert listener["DefaultActions"][0]["RedirectConfig"] == redirect
    assert "SslPolicy" not in listener
    assert targets(stack)["LoadBalancerArns"] == []


def test_two_listeners_on_one_port_are_refused(deploy: Deploy) -> None:
    template = application()
    template["Second"] = template["Listener"]
    with pytest.raises(DeploymentFailed, match="DuplicateListener"):
        deploy(template)


def rule(priority: int, path: str) -> dict[str, Any]:
    reply = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"}
    return {
        "Rule": {
            "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
            "Properties": {
                "ListenerArn": {"Ref": "Listener"},
                "Priority": str(priority),
                "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}],
                "Actions": [{"Type": "fixed-response", "FixedResponseConfig": reply}],
            },
        }
    }


def test_a_rule_changes_in_place_and_goes_with_its_template(deploy: Deploy) -> None:
    stack = deploy(application() | rule(10, "/admin/*"))
    arn = stack["Rule"]
    stack.update(application() | rule(20, "/internal/*"))
    elb = stack.client("elbv2")
    (found,) = elb.describe_rules(RuleArns=[arn])["Rules"]
    assert stack["Rule"] == arn
    assert found["Priority"] == "20"
    assert found["Conditions"][0]["PathPatternConfig"]["Values"] == ["/internal/*"]
    stack.update(application())
    assert len(elb.describe_rules(ListenerArn=stack["Listener"])["Rules"]) == 1


def test_a_target_group_in_use_is_not_deleted(deploy: Deploy) -> None:
    stack = deploy(application())
    with pytest.raises(ClientError, match="in use"):
        stack.client("elbv2").delete_target_group(TargetGroupArn=stack["Targets"])
