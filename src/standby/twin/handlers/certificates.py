"""Certificates of AWS Certificate Manager, validated by DNS.

Source: CloudFormation template reference, "AWS::CertificateManager::Certificate".
"""

import time
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Resource, gone_is_fine, handler

PATIENCE_SECONDS = 72 * 3600
"""Certificate Manager gives up on a domain after 72 hours."""
POLL_SECONDS = 0.1


@handler("AWS::CertificateManager::Certificate")
class Certificate(Configured):
    """A public certificate; it exists for the stack once it is issued."""

    def make(self, r: Resource) -> Created:
        """Request the certificate."""
        method = r.properties.get("ValidationMethod", "EMAIL")
        if method != "DNS":
            raise TemplateError(f"{r.logical_id}: the twin reads no mail; set ValidationMethod DNS")
        algorithm = r.properties.get("KeyAlgorithm", "RSA_2048")
        if algorithm != "RSA_2048":
            raise TemplateError(f"{r.logical_id}: the twin makes RSA_2048 keys, not {algorithm}")
        tags = r.all_tags()
        options = {
            api: r.properties[name]
            for name, api in (
                ("CertificateTransparencyLoggingPreference",) * 2,
                ("CertificateExport", "Export"),
            )
            if name in r.properties
        }
        answer = r.client("acm").request_certificate(
            ValidationMethod=method,
            **r.properties.pick("DomainName", "SubjectAlternativeNames"),
            **({"Options": options} if options else {}),
            **({"Tags": tags} if tags else {}),
        )
        return Created(answer["CertificateArn"], {"CertificateArn": answer["CertificateArn"]})

    def configure(self, r: Resource) -> None:
        """Prove the domains at creation; afterwards set tags and logging."""
        if not r.previous:
            self._publish(r)
            self._await_issue(r)
            return
        acm, arn = r.client("acm"), {"CertificateArn": r.physical_id}
        if dropped := r.dropped_tags():
            acm.remove_tags_from_certificate(**arn, Tags=[{"Key": key} for key in dropped])
        if tags := r.all_tags():
            acm.add_tags_to_certificate(**arn, Tags=tags)

    def delete(self, r: Resource) -> None:
        """Delete the certificate.

        The validation record stays, as on AWS (cloudformation-coverage-roadmap issue 1603):
        other certificates for the domain, also of other regions, are validated by the same one.
        """
        with gone_is_fine():
            r.client("acm").delete_certificate(CertificateArn=r.physical_id)

    def _publish(self, r: Resource) -> None:
        """Write the validation records into the zones that the template names."""
        zones = {
            option["DomainName"]: option["HostedZoneId"]
            for option in r.properties.get("DomainValidationOptions", ())
            if "HostedZoneId" in option
        }
        for option in self._describe(r)["DomainValidationOptions"]:
            if option["DomainName"] not in zones:
                continue
            record = option["ResourceRecord"]
            r.client("route53").change_resource_record_sets(
                HostedZoneId=zones[option["DomainName"]],
                ChangeBatch={
                    "Changes": [
                        {
                            "Action": "UPSERT",
                            "ResourceRecordSet": {
                                "Name": record["Name"],
                                "Type": record["Type"],
                                "TTL": 300,
                                "ResourceRecords": [{"Value": record["Value"]}],
                            },
                        }
                    ]
                },
            )

    def _await_issue(self, r: Resource) -> None:
        """Wait until all domains are proven; who does it for other zones has three days."""
        end = time.monotonic() + PATIENCE_SECONDS / r.twin.speed
        while self._describe(r)["Status"] != "ISSUED":
            if time.monotonic() >= end:
                raise TemplateError(f"{r.logical_id}: {r.physical_id} was not validated in time")
            time.sleep(POLL_SECONDS)

    @staticmethod
    def _describe(r: Resource) -> dict[str, Any]:
        answer = r.client("acm").describe_certificate(CertificateArn=r.physical_id)
        found: dict[str, Any] = answer["Certificate"]
        return found
