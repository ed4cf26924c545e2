"""AWS Certificate Manager beyond moto: a certificate is issued when its domain proves itself.

Source: AWS Certificate Manager user guide, "DNS validation": the certificate is issued once the
CNAME records that it asks for can be looked up, and not by the passing of time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standby.twin.operations import Call, operation

SERVICE = "acm"
ONLY_WHEN_ISSUED = ("IssuedAt", "NotBefore", "NotAfter", "Serial", "Issuer", "SignatureAlgorithm")


@dataclass
class Issued:
    """When each certificate of a region was issued, by its ARN."""

    at: dict[str, datetime] = field(default_factory=dict)


@operation(SERVICE, "DescribeCertificate")
def describe_certificate(call: Call) -> Mapping[str, Any]:
    """Describe a certificate: issued or waiting for its validation, and who uses it."""
    answer = call.moto()
    certificate, arn = answer["Certificate"], call.params["CertificateArn"]
    certificate["InUseBy"] = sorted(set(_users(call, arn)))
    if certificate["Type"] != "AMAZON_ISSUED":
        return answer
    issued, options = call.store(Issued).at, certificate["DomainValidationOptions"]
    for option in options:
        valid = arn in issued or _published(call, option["ResourceRecord"])
        option["ValidationStatus"] = "SUCCESS" if valid else "PENDING_VALIDATION"
    if all(option["ValidationStatus"] == "SUCCESS" for option in options):
        certificate["Status"] = "ISSUED"
        certificate["IssuedAt"] = issued.setdefault(arn, datetime.now(UTC))
    else:
        certificate["Status"] = "PENDING_VALIDATION"
        for key in ONLY_WHEN_ISSUED:
            certificate.pop(key, None)
    return answer


@operation(SERVICE, "DeleteCertificate")
def delete_certificate(call: Call) -> None:
    """Delete a certificate."""
    call.moto()
    call.store(Issued).at.pop(call.params["CertificateArn"], None)


def _published(call: Call, record: Mapping[str, str]) -> bool:
    """Say whether the record is in a public zone of its domain."""
    route53 = call.twin.client("route53", call.region)
    for page in route53.get_paginator("list_hosted_zones").paginate():
        for zone in page["HostedZones"]:
            if zone["Config"].get("PrivateZone") or not record["Name"].endswith(f".{zone['Name']}"):
                continue
            answer = route53.list_resource_record_sets(
                HostedZoneId=zone["Id"],
                StartRecordName=record["Name"],
                StartRecordType=record["Type"],
                MaxItems="1",
            )
            for found in answer["ResourceRecordSets"]:
                values = [each["Value"] for each in found.get("ResourceRecords", ())]
                if (found["Name"], found["Type"]) == (record["Name"], record["Type"]):
                    return record["Value"] in values
    return False


def _users(call: Call, arn: str) -> Iterator[str]:
    """Give the load balancers that show a certificate."""
    elb = call.twin.client("elbv2", call.region)
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        of_balancer = {"LoadBalancerArn": balancer["LoadBalancerArn"]}
        for listener in elb.describe_listeners(**of_balancer)["Listeners"]:
            if listener.get("Protocol") not in {"HTTPS", "TLS"}:
                continue
            certificates = elb.describe_listener_certificates(ListenerArn=listener["ListenerArn"])
            if any(each["CertificateArn"] == arn for each in certificates["Certificates"]):
                yield balancer["LoadBalancerArn"]
