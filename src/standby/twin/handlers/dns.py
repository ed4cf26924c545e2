"""DNS: health checks, zones and records.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon
Route 53".
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler
from standby.twin.shapes import call

REGION = "us-east-1"
"""Where the control plane of Route 53 is, for every region."""
Change = dict[str, Any]


def _route53(r: Resource) -> Any:
    return r.client("route53", REGION)


def _tag(r: Resource, kind: str, key: str) -> None:
    """Bring the tags of a health check or a zone to what is wanted."""
    changes: dict[str, Any] = {}
    if tags := r.all_tags(key):
        changes["AddTags"] = tags
    if dropped := r.dropped_tags(key):
        changes["RemoveTagKeys"] = dropped
    if changes:
        _route53(r).change_tags_for_resource(ResourceType=kind, ResourceId=r.physical_id, **changes)


@handler("AWS::Route53::HealthCheck")
class HealthCheck(Configured):
    """A health check; ``Ref`` is its id."""

    _resettable = ("ChildHealthChecks", "FullyQualifiedDomainName", "Regions", "ResourcePath")
    _defaults: Mapping[str, Any] = {
        "EnableSNI": False,
        "FailureThreshold": 3,
        "Inverted": False,
    }
    """What a property that the template no longer has goes back to."""

    def make(self, r: Resource) -> Created:
        """Create the health check."""
        answer = call(
            _route53(r),
            "CreateHealthCheck",
            CallerReference=str(uuid.uuid4()),
            HealthCheckConfig=r.properties["HealthCheckConfig"],
        )
        id_ = answer["HealthCheck"]["Id"]
        return Created(id_, {"HealthCheckId": id_})

    def configure(self, r: Resource) -> None:
        """Set the tags and, after creation, the configuration."""
        if r.previous and r.changed("HealthCheckConfig"):
            self._change(r, r.previous["HealthCheckConfig"], r.properties["HealthCheckConfig"])
        _tag(r, "healthcheck", "HealthCheckTags")

    def _change(self, r: Resource, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        gone = before.keys() - after.keys()
        changes = {key: value for key, value in after.items() if before.get(key) != value}
        changes |= {key: self._defaults[key] for key in gone & self._defaults.keys()}
        if "EnableSNI" in gone:
            changes["EnableSNI"] = after["Type"].startswith("HTTPS")
        if reset := sorted(gone.intersection(self._resettable)):
            changes["ResetElements"] = reset
        if lasting := sorted(gone - self._defaults.keys() - set(self._resettable)):
            raise TemplateError(f"{', '.join(lasting)} of a health check cannot be taken back")
        call(_route53(r), "UpdateHealthCheck", HealthCheckId=r.physical_id, **changes)

    def delete(self, r: Resource) -> None:
        """Delete the health check."""
        with gone_is_fine():
            _route53(r).delete_health_check(HealthCheckId=r.physical_id)


@handler("AWS::Route53::HostedZone")
class HostedZone(Configured):
    """A zone, private where it names VPCs; ``Ref`` is its id."""

    def make(self, r: Resource) -> Created:
        """Create the zone."""
        wanted, options = r.properties, r.properties.pick("DelegationSetId")
        config = dict(wanted.get("HostedZoneConfig", {}))
        if vpcs := wanted.get("VPCs"):
            options["VPC"] = vpcs[0]
            config["PrivateZone"] = True
        answer = call(
            _route53(r),
            "CreateHostedZone",
            Name=wanted["Name"],
            CallerReference=str(uuid.uuid4()),
            HostedZoneConfig=config,
            **options,
        )
        id_ = answer["HostedZone"]["Id"].rpartition("/")[2]
        servers = answer.get("DelegationSet", {}).get("NameServers", [])
        return Created(id_, {"Id": id_, "NameServers": servers})

    def configure(self, r: Resource) -> None:
        """Set tags, features, VPCs, query log and, after creation, the comment."""
        route53, wanted = _route53(r), r.properties
        _tag(r, "hostedzone", "HostedZoneTags")
        if r.changed("HostedZoneFeatures"):
            features = wanted.get("HostedZoneFeatures", {})
            on = features.get("EnableAcceleratedRecovery", False)
            call(
                route53,
                "UpdateHostedZoneFeatures",
                HostedZoneId=r.physical_id,
                EnableAcceleratedRecovery=on,
            )
        if r.previous and r.changed("HostedZoneConfig"):
            comment = wanted.get("HostedZoneConfig", {}).get("Comment", "")
            route53.update_hosted_zone_comment(Id=r.physical_id, Comment=comment)
        self._set_vpcs(r)
        if r.changed("QueryLoggingConfig"):
            if r.previous:
                self._drop_query_log(r)
            if log := wanted.get("QueryLoggingConfig"):
                route53.create_query_logging_config(HostedZoneId=r.physical_id, **log)

    @staticmethod
    def _set_vpcs(r: Resource) -> None:
        """Associate the VPCs that are new, then let go of those that are no more."""
        wanted = r.properties.get("VPCs", [])
        known = r.previous.get("VPCs", wanted[:1])  # creation associates the first
        if bool(wanted) != bool(known):
            raise TemplateError("a hosted zone cannot become private or public")
        route53, zone = _route53(r), {"HostedZoneId": r.physical_id}
        for vpc in wanted:
            if vpc not in known:
                route53.associate_vpc_with_hosted_zone(**zone, VPC=vpc)
        for vpc in known:
            if vpc not in wanted:
                route53.disassociate_vpc_from_hosted_zone(**zone, VPC=vpc)

    @staticmethod
    def _drop_query_log(r: Resource) -> None:
        route53, zone = _route53(r), {"HostedZoneId": r.physical_id}
        for log in route53.list_query_logging_configs(**zone)["QueryLoggingConfigs"]:
            route53.delete_query_logging_config(Id=log["Id"])

    def delete(self, r: Resource) -> None:
        """Delete the zone; records in it forbid that."""
        with gone_is_fine():
            if "QueryLoggingConfig" in r.properties:
                self._drop_query_log(r)
            _route53(r).delete_hosted_zone(Id=r.physical_id)


def _zone_id(r: Resource, holder: Mapping[str, Any]) -> str:
    """Give the zone that a record or a group names by id or by name.

    Raises:
        TemplateError: It names none, or its name is none's or several zones'.
    """
    if "HostedZoneId" in holder:
        return str(holder["HostedZoneId"])
    name = str(holder.get("HostedZoneName", "")).rstrip(".") + "."
    zones = _route53(r).list_hosted_zones_by_name(DNSName=name)["HostedZones"]
    found = [zone["Id"].rpartition("/")[2] for zone in zones if zone["Name"] == name]
    if len(found) != 1:
        raise TemplateError(f"{len(found) or 'no'} hosted zones are named {name!r}")
    return str(found[0])


def _record_set(record: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a record from CloudFormation's shape to the API's."""
    beside = {"Comment", "HostedZoneId", "HostedZoneName"}
    found = {key: value for key, value in record.items() if key not in beside}
    if "ResourceRecords" in found:
        found["ResourceRecords"] = [{"Value": value} for value in found["ResourceRecords"]]
    if "AliasTarget" in found:
        found["AliasTarget"] = {"EvaluateTargetHealth": False, **found["AliasTarget"]}
    return found


def _identity(record: Mapping[str, Any]) -> tuple[str, str, str]:
    name = record["Name"].lower().rstrip(".")
    return name, record["Type"], record.get("SetIdentifier", "")


def _change(action: str, record: Mapping[str, Any]) -> Change:
    return {"Action": action, "ResourceRecordSet": _record_set(record)}


def _submit(r: Resource, zone: str, changes: list[Change]) -> None:
    batch: dict[str, Any] = {"Changes": changes}
    if comment := r.properties.get("Comment"):
        batch["Comment"] = comment
    if changes:
        call(_route53(r), "ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch=batch)


def _withdraw(r: Resource, zone: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Delete records one by one; those that are gone already are no error."""
    for record in records:
        try:
            _submit(r, zone, [_change("DELETE", record)])
        except ClientError as error:
            problem = error.response["Error"]
            if problem["Code"] == "NoSuchHostedZone":
                return
            if "it was not found" not in problem["Message"]:
                raise


@handler("AWS::Route53::RecordSet")
class RecordSet(Handler):
    """A record; its name is its ``Ref``."""

    def create(self, r: Resource) -> Created:
        """Create the record."""
        zone = _zone_id(r, r.properties)
        _submit(r, zone, [_change("CREATE", r.properties)])
        return Created(self._name(r))

    def update(self, r: Resource) -> Created:
        """Change the record; under another name it is made beside the old, to be cleaned up."""
        if _identity(r.properties) == _identity(r.previous):
            changes = [_change("UPSERT", r.properties)]
        elif self._name(r) == r.physical_id:
            changes = [_change("DELETE", r.previous), _change("CREATE", r.properties)]
        else:
            changes = [_change("CREATE", r.properties)]
        _submit(r, _zone_id(r, r.properties), changes)
        return Created(self._name(r))

    def delete(self, r: Resource) -> None:
        """Delete the record."""
        _withdraw(r, _zone_id(r, r.properties), [r.properties])

    @staticmethod
    def _name(r: Resource) -> str:
        return str(r.properties["Name"]).rstrip(".")


@handler("AWS::Route53::RecordSetGroup")
class RecordSetGroup(Handler):
    """Records of one zone that change together; ``Ref`` is an id of CloudFormation's own."""

    def create(self, r: Resource) -> Created:
        """Create the records, all or none."""
        _submit(r, self._zone(r), [_change("CREATE", record) for record in self._records(r)])
        id_ = r.generated_name()
        return Created(id_, {"Id": id_})

    def update(self, r: Resource) -> Created:
        """Make, change and delete records in one change."""
        before = {_identity(record): record for record in r.previous.get("RecordSets", ())}
        after = {_identity(record): record for record in self._records(r)}
        changes = [_change("DELETE", old) for key, old in before.items() if key not in after]
        changes += [_change("UPSERT", new) for key, new in after.items() if before.get(key) != new]
        _submit(r, self._zone(r), changes)
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the records."""
        _withdraw(r, self._zone(r), self._records(r))

    @staticmethod
    def _records(r: Resource) -> list[Mapping[str, Any]]:
        return list(r.properties.get("RecordSets", ()))

    def _zone(self, r: Resource) -> str:
        """Give the zone of the group, which its records may name instead."""
        holders = [r.properties, *self._records(r)]
        named = [each for each in holders if "HostedZoneId" in each or "HostedZoneName" in each]
        r.properties.pick("Comment", "HostedZoneId", "HostedZoneName")
        zones = {_zone_id(r, holder) for holder in named}
        if len(zones) != 1:
            raise TemplateError("a record set group needs one hosted zone for all its records")
        return zones.pop()
