"""DNS on the twin: health checks that tell the truth, zones, and the records they take."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.services.dns_health import health_checks, is_healthy
from standby.twin.twin import Twin

TAGS = [{"Key": "Name", "Value": "test"}]
ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "Namespace": "Test",
        "MetricName": "Latch",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1,
    },
}


def check(**config: Any) -> dict[str, Any]:
    properties = {"HealthCheckConfig": config, "HealthCheckTags": TAGS}
    return {"Type": "AWS::Route53::HealthCheck", "Properties": properties}


def endpoint(name: Any = "www.example.com", **config: Any) -> dict[str, Any]:
    return check(Type="HTTP", FullyQualifiedDomainName=name, ResourcePath="/health", **config)


def latch(fallback: str = "LastKnownStatus", **config: Any) -> dict[str, Any]:
    return check(
        Type="CLOUDWATCH_METRIC",
        AlarmIdentifier={"Name": {"Ref": "Alarm"}, "Region": {"Ref": "AWS::Region"}},
        InsufficientDataHealthStatus=fallback,
        **config,
    )


def both(*children: str, threshold: int = 2, **config: Any) -> dict[str, Any]:
    return check(
        Type="CALCULATED",
        ChildHealthChecks=[{"Ref": child} for child in children],
        HealthThreshold=threshold,
        **config,
    )


def config_of(stack: Deployed, logical_id: str) -> dict[str, Any]:
    answer = stack.client("route53").get_health_check(HealthCheckId=stack[logical_id])
    return dict(answer["HealthCheck"]["HealthCheckConfig"])


def healthy(stack: Deployed, logical_id: str) -> bool:
    return is_healthy(stack.twin, health_checks(stack.twin)[stack[logical_id]])


def statuses(stack: Deployed, logical_id: str) -> set[str]:
    answer = stack.client("route53").get_health_check_status(HealthCheckId=stack[logical_id])
    return {each["StatusReport"]["Status"] for each in answer["HealthCheckObservations"]}


def test_an_endpoint_check_is_described_whole(deploy: Deploy) -> None:
    stack = deploy({"Check": endpoint(Port=8080, RequestInterval=10, MeasureLatency=True)})
    assert config_of(stack, "Check") == {
        "Type": "HTTP",
        "FullyQualifiedDomainName": "www.example.com",
        "ResourcePath": "/health",
        "Port": 8080,
        "RequestInterval": 10,
        "FailureThreshold": 3,
        "MeasureLatency": True,
        "Inverted": False,
        "Disabled": False,
        "EnableSNI": False,
    }
    tags = stack.client("route53").list_tags_for_resource(
        ResourceType="healthcheck", ResourceId=stack["Check"]
    )
    assert tags["ResourceTagSet"]["Tags"] == TAGS


def test_a_health_check_changes_in_place_and_is_replaced_where_it_must(deploy: Deploy) -> None:
    stack = deploy({"Check": endpoint(FailureThreshold=2, Inverted=True)})
    first = stack["Check"]
    stack.update({"Check": check(Type="HTTP", FullyQualifiedDomainName="new.example.com")})
    config = config_of(stack, "Check")
    assert stack["Check"] == first
    assert config["FullyQualifiedDomainName"] == "new.example.com"
    assert (config["FailureThreshold"], config["Inverted"]) == (3, False)
    assert "ResourcePath" not in config
    stack.update({"Check": endpoint(RequestInterval=10)})
    assert stack["Check"] != first
    listed = stack.client("route53").list_health_checks()["HealthChecks"]
    assert [each["Id"] for each in listed] == [stack["Check"]]
    stack.delete()
    assert stack.client("route53").list_health_checks()["HealthChecks"] == []


def test_an_endpoint_that_no_name_leads_to_is_unhealthy(deploy: Deploy) -> None:
    stack = deploy(
        {
            "Check": endpoint(),
            "Gone": endpoint(f"gone-1.{PRIMARY}.elb.amazonaws.com"),
            "Inverted": endpoint(Inverted=True),
            "Disabled": endpoint(),
        }
    )
    stack.client("route53").update_health_check(HealthCheckId=stack["Disabled"], Disabled=True)
    assert all(status.startswith("Failure: DNS") for status in statuses(stack, "Check"))
    assert statuses(stack, "Inverted") == statuses(stack, "Check")
    assert statuses(stack, "Disabled") == set()
    names = ("Check", "Gone", "Inverted", "Disabled")
    assert [healthy(stack, name) for name in names] == [False, False, True, True]


def test_checkers_are_in_the_regions_that_were_asked_for(deploy: Deploy) -> None:
    regions = ["eu-west-1", "us-east-1", "sa-east-1"]
    stack = deploy({"All": endpoint(), "Some": endpoint(Regions=regions)})
    route53 = stack.client("route53")

    def seen_from(name: str) -> list[str]:
        answer = route53.get_health_check_status(HealthCheckId=stack[name])
        return [each["Region"] for each in answer["HealthCheckObservations"]]

    assert len(seen_from("All")) == 16
    assert set(seen_from("Some")) == set(regions)


def balancer(answer: dict[str, Any]) -> dict[str, Any]:
    def subnet(number: int) -> dict[str, Any]:
        properties = {
            "VpcId": {"Ref": "Vpc"},
            "CidrBlock": f"10.0.{number}.0/24",
            "AvailabilityZone": {"Fn::Select": [number, {"Fn::GetAZs": ""}]},
        }
        return {"Type": "AWS::EC2::Subnet", "Properties": properties}

    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "A": subnet(0),
        "B": subnet(1),
        "Balancer": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Subnets": [{"Ref": "A"}, {"Ref": "B"}], "Scheme": "internet-facing"},
        },
        "Group": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "VpcId": {"Ref": "Vpc"},
                "Port": 80,
                "Protocol": "HTTP",
                "TargetType": "instance",
            },
        },
        "Listener": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [answer],
            },
        },
    }


DNS_NAME = {"Fn::GetAtt": ["Balancer", "DNSName"]}
FORWARD = {"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}
MOVED = {
    "Type": "redirect",
    "RedirectConfig": {"StatusCode": "HTTP_301", "Protocol": "HTTPS", "Port": "443"},
}


def test_a_load_balancer_without_healthy_targets_is_unhealthy(deploy: Deploy) -> None:
    stack = deploy(balancer(FORWARD) | {"Check": endpoint(DNS_NAME)})
    assert statuses(stack, "Check") == {"Failure: HTTP Status Code 503"}
    assert not healthy(stack, "Check")


def test_a_load_balancer_that_answers_is_healthy_where_it_listens(deploy: Deploy) -> None:
    stack = deploy(
        balancer(MOVED) | {"Check": endpoint(DNS_NAME), "Other": endpoint(DNS_NAME, Port=8443)}
    )
    assert statuses(stack, "Check") == {"Success: HTTP Status Code 301"}
    assert healthy(stack, "Check")
    assert not healthy(stack, "Other")


def set_state(stack: Deployed, state: str) -> None:
    stack.client("cloudwatch").set_alarm_state(
        AlarmName=stack["Alarm"], StateValue=state, StateReason="a test"
    )


def test_a_latch_holds_the_last_state_that_rested_on_data(deploy: Deploy) -> None:
    stack = deploy(
        {
            "Alarm": ALARM,
            "Latch": latch(),
            "Careful": latch("Unhealthy"),
            "Careless": latch("Healthy"),
        },
        STANDBY,
    )
    identifier = config_of(stack, "Latch")["AlarmIdentifier"]
    assert identifier == {"Name": stack["Alarm"], "Region": STANDBY}
    names = ("Latch", "Careful", "Careless")
    for state, expected in (
        ("INSUFFICIENT_DATA", [True, False, True]),
        ("ALARM", [False, False, False]),
        ("INSUFFICIENT_DATA", [False, False, True]),
        ("OK", [True, True, True]),
        ("INSUFFICIENT_DATA", [True, False, True]),
    ):
        set_state(stack, state)
        assert [healthy(stack, name) for name in names] == expected, state


def test_a_calculated_check_counts_its_children(deploy: Deploy) -> None:
    stack = deploy(
        {
            "Alarm": ALARM,
            "Latch": latch(),
            "Site": endpoint(),
            "Both": both("Latch", "Site"),
            "Either": both("Latch", "Site", threshold=1),
            "Neither": both("Latch", "Site", threshold=1, Inverted=True),
        }
    )
    names = ("Both", "Either", "Neither")
    assert [healthy(stack, name) for name in names] == [False, True, False]
    set_state(stack, "ALARM")
    assert [healthy(stack, name) for name in names] == [False, False, True]
    with pytest.raises(ClientError, match="calculated health check"):
        statuses(stack, "Both")


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (check(Type="HTTP"), "IPAddress or FullyQualifiedDomainName"),
        (check(Type="TCP", IPAddress="192.0.2.1"), "Port is required"),
        (endpoint(RequestInterval=20), "RequestInterval must be 10 or 30"),
        (
            check(Type="CALCULATED", ChildHealthChecks=["no"], HealthThreshold=1),
            "no does not exist",
        ),
        (
            check(
                Type="CLOUDWATCH_METRIC",
                AlarmIdentifier={"Name": "no", "Region": PRIMARY},
                InsufficientDataHealthStatus="Healthy",
            ),
            f"alarm no in {PRIMARY} does not exist",
        ),
    ],
)
def test_a_health_check_that_route_53_refuses(
    deploy: Deploy, resource: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DeploymentFailed, match=reason):
        deploy({"Check": resource})


def test_a_check_of_an_alarm_that_route_53_cannot_follow_is_refused(deploy: Deploy) -> None:
    often = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}
    alarm = {**ALARM, "Properties": {**ALARM["Properties"], **often}}  # type: ignore[dict-item]
    with pytest.raises(DeploymentFailed, match="M out of N"):
        deploy({"Alarm": alarm, "Latch": latch()})


def zone(**properties: Any) -> dict[str, Any]:
    wanted = {"Name": "example.org.", **properties}
    return {"Zone": {"Type": "AWS::Route53::HostedZone", "Properties": wanted}}


def record(name: str = "app.example.org.", **properties: Any) -> dict[str, Any]:
    wanted = {"HostedZoneId": {"Ref": "Zone"}, "Name": name, "Type": "A", **properties}
    return {"Type": "AWS::Route53::RecordSet", "Properties": wanted}


def plain(*values: str, **more: Any) -> dict[str, Any]:
    return record(TTL="60", ResourceRecords=list(values), **more)


def records_in(stack: Deployed) -> list[dict[str, Any]]:
    """Give the records of the stack's zone but for its own two."""
    pages = stack.client("route53").get_paginator("list_resource_record_sets")
    found = [
        r for page in pages.paginate(HostedZoneId=stack["Zone"]) for r in page["ResourceRecordSets"]
    ]
    return [r for r in found if r["Type"] not in {"NS", "SOA"}]


def test_a_zone_has_name_servers_features_and_tags(deploy: Deploy) -> None:
    accelerated = {"EnableAcceleratedRecovery": True}
    template = zone(HostedZoneFeatures=accelerated, HostedZoneTags=TAGS)
    output = {"Value": {"Fn::Join": [" ", {"Fn::GetAtt": ["Zone", "NameServers"]}]}}
    stack = deploy({"Resources": template, "Outputs": {"NameServers": output}})
    route53, id_ = stack.client("route53"), stack["Zone"]
    answer = route53.get_hosted_zone(Id=id_)
    assert answer["HostedZone"]["Name"] == "example.org."
    assert answer["HostedZone"]["Features"] == {"AcceleratedRecoveryStatus": "ENABLED"}
    assert answer["HostedZone"]["ResourceRecordSetCount"] == 2
    assert stack.outputs["NameServers"].split() == answer["DelegationSet"]["NameServers"]
    tags = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=id_)
    assert tags["ResourceTagSet"]["Tags"] == TAGS
    stack.update(zone(HostedZoneConfig={"Comment": "ours"}))
    (listed,) = route53.list_hosted_zones()["HostedZones"]
    assert listed["Features"] == {"AcceleratedRecoveryStatus": "DISABLED"}
    assert listed["Config"] == {"Comment": "ours", "PrivateZone": False}
    stack.delete()
    assert route53.list_hosted_zones()["HostedZones"] == []


def test_a_zone_logs_its_queries_where_it_is_told(deploy: Deploy) -> None:
    group = {"LogGroupName": "/aws/route53/example.org"}
    logs = {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": group}}
    log = {"CloudWatchLogsLogGroupArn": {"Fn::GetAtt": ["Logs", "Arn"]}}
    stack = deploy(logs | zone(QueryLoggingConfig=log), "us-east-1")
    route53, of_zone = stack.client("route53"), {"HostedZoneId": stack["Zone"]}
    (found,) = route53.list_query_logging_configs(**of_zone)["QueryLoggingConfigs"]
    assert found["CloudWatchLogsLogGroupArn"].endswith("/aws/route53/example.org:*")
    stack.update(logs | zone())
    assert route53.list_query_logging_configs(**of_zone)["QueryLoggingConfigs"] == []


def test_a_private_zone_belongs_to_its_vpcs(deploy: Deploy) -> None:
    def vpc(number: int) -> dict[str, Any]:
        return {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": f"10.{number}.0.0/16"}}

    def private(*names: str) -> dict[str, Any]:
        vpcs = [{"VPCId": {"Ref": name}, "VPCRegion": PRIMARY} for name in names]
        return {"One": vpc(1), "Two": vpc(2)} | zone(VPCs=vpcs)

    stack = deploy(private("One"))
    stack.update(private("Two"))
    answer = stack.client("route53").get_hosted_zone(Id=stack["Zone"])
    assert answer["HostedZone"]["Config"]["PrivateZone"]
    assert answer["VPCs"] == [{"VPCRegion": PRIMARY, "VPCId": stack["Two"]}]


def test_a_zone_with_records_of_others_is_not_deleted(deploy: Deploy) -> None:
    stack = deploy(zone())
    route53, id_ = stack.client("route53"), stack["Zone"]
    entry = {
        "Name": "x.example.org",
        "Type": "TXT",
        "TTL": 5,
        "ResourceRecords": [{"Value": '"x"'}],
    }
    change: dict[str, Any] = {"Action": "CREATE", "ResourceRecordSet": entry}
    route53.change_resource_record_sets(HostedZoneId=id_, ChangeBatch={"Changes": [change]})
    with pytest.raises(DeploymentFailed, match="non-required resource record sets"):
        stack.delete()
    change["Action"] = "DELETE"
    route53.change_resource_record_sets(HostedZoneId=id_, ChangeBatch={"Changes": [change]})


def alias(**more: Any) -> dict[str, Any]:
    target = {
        "DNSName": DNS_NAME,
        "HostedZoneId": {"Fn::GetAtt": ["Balancer", "CanonicalHostedZoneID"]},
        "EvaluateTargetHealth": True,
    }
    return record(AliasTarget=target | more.pop("target", {}), **more)


def failover(role: str, **more: Any) -> dict[str, Any]:
    return alias(Failover=role, SetIdentifier=role.lower(), **more)


def test_a_failover_pair_leads_to_load_balancers(deploy: Deploy) -> None:
    template = balancer(MOVED) | zone() | {"Check": endpoint(DNS_NAME)}
    pair = {
        "First": failover("PRIMARY", HealthCheckId={"Ref": "Check"}),
        "Second": failover("SECONDARY"),
    }
    stack = deploy(template | pair)
    (described,) = stack.client("elbv2").describe_load_balancers()["LoadBalancers"]
    first, second = records_in(stack)
    assert (first["Name"], first["Type"], first["Failover"]) == ("app.example.org.", "A", "PRIMARY")
    assert first["HealthCheckId"] == stack["Check"]
    assert "HealthCheckId" not in second
    assert second["AliasTarget"] == {
        "HostedZoneId": described["CanonicalHostedZoneId"],
        "DNSName": described["DNSName"].lower() + ".",
        "EvaluateTargetHealth": True,
    }
    assert stack["First"] == "app.example.org"
    stack.update(template)
    assert records_in(stack) == []


def test_a_record_changes_moves_and_goes(deploy: Deploy) -> None:
    stack = deploy(zone() | {"Record": plain("192.0.2.1")})
    stack.update(zone() | {"Record": plain("192.0.2.2", "192.0.2.3")})
    (found,) = records_in(stack)
    assert [each["Value"] for each in found["ResourceRecords"]] == ["192.0.2.2", "192.0.2.3"]
    stack.update(zone() | {"Record": plain("192.0.2.2", name="www.example.org")})
    assert [each["Name"] for each in records_in(stack)] == ["www.example.org."]
    weighted = {"SetIdentifier": "one", "Weight": 0}
    stack.update(zone() | {"Record": plain("192.0.2.2", name="www.example.org", **weighted)})
    (found,) = records_in(stack)
    assert (found["SetIdentifier"], found["Weight"]) == ("one", 0)
    stack.update(zone())
    assert records_in(stack) == []


def test_records_are_listed_from_the_right_end_of_their_names(deploy: Deploy) -> None:
    names = ["b.a.example.org", "a.example.org", "z.example.org", "a.z.example.org"]
    stack = deploy(
        zone() | {f"R{i}": plain("192.0.2.1", name=name) for i, name in enumerate(names)}
    )
    expected = ["a.example.org.", "b.a.example.org.", "z.example.org.", "a.z.example.org."]
    assert [each["Name"] for each in records_in(stack)] == expected
    page = stack.client("route53").list_resource_record_sets(
        HostedZoneId=stack["Zone"], StartRecordName="b.a.example.org", MaxItems="1"
    )
    assert [each["Name"] for each in page["ResourceRecordSets"]] == ["b.a.example.org."]
    assert (page["IsTruncated"], page["NextRecordName"]) == (True, "z.example.org.")


def test_a_group_of_records_changes_as_one(deploy: Deploy) -> None:
    def group(**values: str) -> dict[str, Any]:
        sets = [
            {"Name": f"{name}.example.org", "Type": "A", "TTL": "5", "ResourceRecords": [value]}
            for name, value in values.items()
        ]
        properties = {"HostedZoneId": {"Ref": "Zone"}, "RecordSets": sets, "Comment": "ours"}
        return zone() | {
            "Group": {"Type": "AWS::Route53::RecordSetGroup", "Properties": properties}
        }

    stack = deploy(group(a="192.0.2.1", b="192.0.2.1"))
    stack.update(group(b="192.0.2.2", c="192.0.2.3"))
    found = {each["Name"]: each["ResourceRecords"][0]["Value"] for each in records_in(stack)}
    assert found == {"b.example.org.": "192.0.2.2", "c.example.org.": "192.0.2.3"}
    stack.update(zone())
    assert records_in(stack) == []


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"R": plain("192.0.2.1", name="app.example.net")}, "not permitted in zone example.org"),
        ({"R": record(TTL="5")}, "Expected exactly one of"),
        ({"R": plain("192.0.2.1", Weight=1)}, "Missing SetIdentifier"),
        ({"R": plain("192.0.2.1", HealthCheckId="no")}, "No health check exists with ID: no"),
        ({"R": plain("a.example.net", name="example.org", Type="CNAME")}, "at apex"),
        (
            {"R": plain("192.0.2.1"), "S": plain("192.0.2.2") | {"DependsOn": "R"}},
            "already exists",
        ),
        (
            {
                "R": plain("192.0.2.1", Failover="PRIMARY", SetIdentifier="a"),
                "S": plain("192.0.2.2", Failover="PRIMARY", SetIdentifier="b"),
            },
            "another PRIMARY exists",
        ),
        (
            {
                "R": plain("192.0.2.1", Failover="PRIMARY", SetIdentifier="a"),
                "S": plain("192.0.2.2", Weight=1, SetIdentifier="b"),
            },
            "another routing policy",
        ),
        (balancer(MOVED) | {"R": alias(target={"HostedZoneId": "Z35SXDOTRQ7X7K"})}, "lie within"),
        (
            balancer(MOVED) | {"R": alias(target={"DNSName": f"no-1.{PRIMARY}.elb.amazonaws.com"})},
            "target was not found",
        ),
    ],
)
def test_a_record_that_route_53_refuses(
    deploy: Deploy, resources: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DeploymentFailed, match=reason):
        deploy(zone() | resources)


def test_a_record_in_a_zone_that_does_not_exist_is_refused(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="No hosted zone found"):
        deploy({"R": plain("192.0.2.1", HostedZoneId="ZNONE")})
    named = plain("192.0.2.1", HostedZoneName="example.com.")
    del named["Properties"]["HostedZoneId"]
    with pytest.raises(DeploymentFailed, match="no hosted zones are named"):
        deploy({"R": named})


def test_a_batch_is_taken_whole_or_not_at_all(deploy: Deploy, twin: Twin) -> None:
    stack = deploy(zone())
    good = {
        "Name": "a.example.org",
        "Type": "A",
        "TTL": 5,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": good},
        {"Action": "DELETE", "ResourceRecordSet": good | {"Name": "b.example.org"}},
    ]
    with pytest.raises(ClientError, match="it was not found"):
        twin.client("route53", PRIMARY).change_resource_record_sets(
            HostedZoneId=stack["Zone"], ChangeBatch={"Changes": changes}
        )
    assert records_in(stack) == []
