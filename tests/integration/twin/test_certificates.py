"""Certificates on the twin: validated by DNS, shown by listeners."""

import json
import threading
import time
from typing import Any

import pytest
from moto.moto_api._internal.models import moto_api_backend
from twin_compute import balancer, network
from twin_stacks import PRIMARY, STANDBY, Deploy, Deployed, DeploymentFailed

from standby.twin.twin import Twin

DOMAIN = "app.example.org"
POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


@pytest.fixture(scope="module")
def twin() -> Twin:
    """Give a twin whose clock runs 600 times as fast."""
    moto_api_backend.reset()
    return Twin(speed=600)


@pytest.fixture(scope="module")
def zone(twin: Twin) -> str:
    """Give the id of the domain's public zone."""
    answer = twin.client("route53", PRIMARY).create_hosted_zone(
        Name="example.org", CallerReference="test"
    )
    return str(answer["HostedZone"]["Id"]).rpartition("/")[2]


def certificate(zone: str | None, domain: str = DOMAIN, **properties: Any) -> dict[str, Any]:
    proof = {"DomainValidationOptions": [{"DomainName": domain, "HostedZoneId": zone}]}
    return {
        "Type": "AWS::CertificateManager::Certificate",
        "Properties": {
            "DomainName": domain,
            "ValidationMethod": "DNS",
            **(proof if zone else {}),
            **properties,
        },
    }


def described(stack: Deployed, name: str = "Certificate") -> dict[str, Any]:
    answer = stack.client("acm").describe_certificate(CertificateArn=stack[name])
    found: dict[str, Any] = answer["Certificate"]
    return found


def records(stack: Deployed, zone: str) -> list[dict[str, Any]]:
    answer = stack.client("route53").list_resource_record_sets(HostedZoneId=zone)
    return [each for each in answer["ResourceRecordSets"] if each["Type"] == "CNAME"]


@pytest.mark.parametrize("region", [PRIMARY, STANDBY])
def test_a_certificate_is_issued_by_the_record_that_its_stack_writes(
    deploy: Deploy, zone: str, region: str
) -> None:
    tagged = [{"Key": "Environment", "Value": "test"}]
    stack = deploy({"Certificate": certificate(zone, Tags=tagged)}, region)
    found = described(stack)
    assert (found["Status"], found["DomainName"]) == ("ISSUED", DOMAIN)
    (option,) = found["DomainValidationOptions"]
    assert option["ValidationStatus"] == "SUCCESS"
    (record,) = records(stack, zone)
    assert record["Name"] == option["ResourceRecord"]["Name"]
    assert record["ResourceRecords"] == [{"Value": option["ResourceRecord"]["Value"]}]
    answer = stack.client("acm").list_tags_for_certificate(CertificateArn=stack["Certificate"])
    assert answer["Tags"] == tagged


def test_without_a_zone_the_stack_waits_for_somebody_else_to_write_the_record(
    twin: Twin, zone: str
) -> None:
    domain = "other.example.org"
    stack = Deployed(twin, PRIMARY, "Waiting")
    template = json.dumps({"Resources": {"Certificate": certificate(None, domain)}})
    deploying = threading.Thread(target=stack.run, args=["create_stack"], kwargs={
        "TemplateBody": template,
    })  # fmt: skip
    deploying.start()
    acm = stack.client("acm")
    while not (listed := acm.list_certificates()["CertificateSummaryList"]):
        time.sleep(0.01)
    arn = listed[0]["CertificateArn"]
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["Status"] == "PENDING_VALIDATION"
    assert "IssuedAt" not in found
    record = found["DomainValidationOptions"][0]["ResourceRecord"]
    stack.client("route53").change_resource_record_sets(
        HostedZoneId=zone,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "CREATE",
                    "ResourceRecordSet": {
                        "Name": record["Name"],
                        "Type": record["Type"],
                        "TTL": 60,
                        "ResourceRecords": [{"Value": record["Value"]}],
                    },
                }
            ]
        },
    )
    deploying.join(10)
    assert described(stack)["Status"] == "ISSUED"
    stack.delete()


def test_a_listener_shows_its_certificates(deploy: Deploy, zone: str) -> None:
    template = network() | balancer()
    template["Listener"]["Properties"] |= {
        "Port": 443,
        "Protocol": "HTTPS",
        "SslPolicy": POLICY,
        "Certificates": [{"CertificateArn": {"Ref": "Certificate"}}],
    }
    more = {
        "Type": "AWS::ElasticLoadBalancingV2::ListenerCertificate",
        "Properties": {
            "ListenerArn": {"Ref": "Listener"},
            "Certificates": [{"CertificateArn": {"Ref": "Second"}}],
        },
    }
    template |= {
        "Certificate": certificate(zone),
        "Second": certificate(zone, "www.example.org"),
        "More": more,
    }
    stack = deploy(template)
    elb, named = stack.client("elbv2"), {"ListenerArn": stack["Listener"]}
    (listener,) = elb.describe_listeners(ListenerArns=[stack["Listener"]])["Listeners"]
    assert (listener["Protocol"], listener["SslPolicy"]) == ("HTTPS", POLICY)
    assert listener["Certificates"] == [{"CertificateArn": stack["Certificate"]}]
    shown = elb.describe_listener_certificates(**named)["Certificates"]
    assert {each["CertificateArn"]: each["IsDefault"] for each in shown} == {
        stack["Certificate"]: True,
        stack["Second"]: False,
    }
    assert described(stack)["InUseBy"] == [stack["Balancer"]]
    del template["More"]
    stack.update(template)
    assert len(elb.describe_listener_certificates(**named)["Certificates"]) == 1


def test_tags_change_with_the_template(deploy: Deploy, zone: str) -> None:
    stack = deploy({"Certificate": certificate(zone, Tags=[{"Key": "old", "Value": "1"}])})
    arn = stack["Certificate"]
    stack.update({"Certificate": certificate(zone, Tags=[{"Key": "new", "Value": "2"}])})
    assert stack["Certificate"] == arn
    answer = stack.client("acm").list_tags_for_certificate(CertificateArn=arn)
    assert answer["Tags"] == [{"Key": "new", "Value": "2"}]


def test_a_deleted_certificate_is_gone_and_its_record_stays(deploy: Deploy, zone: str) -> None:
    stack = deploy({"Certificate": certificate(zone)})
    acm = stack.client("acm")
    stack.delete()
    assert acm.list_certificates()["CertificateSummaryList"] == []
    assert records(stack, zone) != []


def test_validation_by_mail_is_refused(deploy: Deploy) -> None:
    with pytest.raises(DeploymentFailed, match="reads no mail"):
        deploy({"Certificate": certificate(None, ValidationMethod="EMAIL")})
