"""DNS: zones and what is in them.

moto keeps the zones themselves; their records are kept here, whole and in the API's own shape,
and `standby.twin.services.dns_records` says which changes are taken.

Source: Route 53 API reference, CreateHostedZone, ChangeResourceRecordSets,
ListResourceRecordSets and UpdateHostedZoneFeatures.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.route53.models import FakeZone, route53_backends

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.dns_health import GLOBAL
from standby.twin.services.dns_records import Key, Record, Zone, changed, key_of, order_of

SERVICE = "route53"
OWN_TYPES = {"NS", "SOA"}
"""The types of the records that a zone has by itself."""
PAGE = 300


class Records(dict[str, dict[Key, Record]]):
    """The records of each zone, by name, type and set identifier."""


class Accelerated(set[str]):
    """The ids of the zones whose control plane recovers without us-east-1."""


def _zone(call: Call, key: str) -> FakeZone:
    """Give moto's zone; moto says so where there is none."""
    return route53_backends[call.account]["aws"].get_hosted_zone(call.params[key])


def _records(call: Call, zone: FakeZone) -> dict[Key, Record]:
    """Give the records of a zone; it has two from its creation."""
    stored = call.twin.store(Records, GLOBAL)
    if zone.resource_id not in stored:
        servers = zone.delegation_set.name_servers if zone.delegation_set else []
        authority = f"{servers[0]}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        own = (
            _plain(zone.name, "NS", 172_800, [f"{server}." for server in servers]),
            _plain(zone.name, "SOA", 900, [authority]),
        )
        stored[zone.resource_id] = {key_of(record): record for record in own}
    return stored[zone.resource_id]


def _plain(name: str, kind: str, ttl: int, values: Iterable[str]) -> Record:
    records = [{"Value": value} for value in values]
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": records}


@operation(SERVICE, "CreateHostedZone")
def create_hosted_zone(call: Call) -> Mapping[str, Any]:
    """Create a zone, once for each caller's reference."""
    zones = route53_backends[call.account]["aws"].zones.values()
    if call.params["CallerReference"] in {zone.caller_reference for zone in zones}:
        raise ServiceError(
            "HostedZoneAlreadyExists",
            "A hosted zone has already been created with the specified caller reference.",
        )
    return _completed(call, call.moto())


@operation(SERVICE, "GetHostedZone")
@operation(SERVICE, "ListHostedZones")
@operation(SERVICE, "ListHostedZonesByName")
@operation(SERVICE, "UpdateHostedZoneComment")
def hosted_zones(call: Call) -> Mapping[str, Any]:
    """Show zones with the count of all their records, and their features."""
    return _completed(call, call.moto())


def _completed(call: Call, answer: dict[str, Any]) -> dict[str, Any]:
    shown = answer["HostedZones"] if "HostedZones" in answer else [answer["HostedZone"]]
    for each in shown:
        id_ = each["Id"].rpartition("/")[2]
        zone = route53_backends[call.account]["aws"].get_hosted_zone(id_)
        each["ResourceRecordSetCount"] = len(_records(call, zone))
        if not zone.private_zone:
            on = id_ in call.twin.store(Accelerated, GLOBAL)
            each["Features"] = {"AcceleratedRecoveryStatus": "ENABLED" if on else "DISABLED"}
    return answer


@operation(SERVICE, "UpdateHostedZoneFeatures")
def update_hosted_zone_features(call: Call) -> None:
    """Switch accelerated recovery; only public zones have it."""
    zone, params = _zone(call, "HostedZoneId"), call.params
    if unknown := {"EnablePublicDNSFallback", "ChangeGuardrails"} & set(params):
        raise ServiceError("InvalidInput", f"the twin does not support {min(unknown)}")
    if zone.private_zone:
        raise ServiceError("InvalidInput", "Accelerated recovery is for public hosted zones only")
    if "EnableAcceleratedRecovery" not in params or params.get("DryRun"):
        return
    accelerated = call.twin.store(Accelerated, GLOBAL)
    if params["EnableAcceleratedRecovery"]:
        accelerated.add(zone.resource_id)
    else:
        accelerated.discard(zone.resource_id)


@operation(SERVICE, "DeleteHostedZone")
def delete_hosted_zone(call: Call) -> Mapping[str, Any]:
    """Delete a zone that holds no records but its own two."""
    zone = _zone(call, "Id")
    apex = {(zone.name, kind, "") for kind in OWN_TYPES}
    if set(_records(call, zone)) - apex:
        raise ServiceError(
            "HostedZoneNotEmpty",
            "The specified hosted zone contains non-required resource record sets and so "
            "cannot be deleted.",
        )
    answer = call.moto()
    call.twin.store(Records, GLOBAL).pop(zone.resource_id)
    call.twin.store(Accelerated, GLOBAL).discard(zone.resource_id)
    route53_backends[call.account]["aws"].resource_tags.pop(zone.resource_id, None)
    return answer


@operation(SERVICE, "ListQueryLoggingConfigs")
def list_query_logging_configs(call: Call) -> Mapping[str, Any]:
    """List where queries are logged, of one zone or of all."""
    logs = route53_backends[call.account]["aws"].query_logging_configs.values()
    if "HostedZoneId" in call.params:
        zone = _zone(call, "HostedZoneId").resource_id
        logs = [each for each in logs if each.hosted_zone_id == zone]
    return {
        "QueryLoggingConfigs": [
            {
                "Id": each.id,
                "HostedZoneId": each.hosted_zone_id,
                "CloudWatchLogsLogGroupArn": each.cloud_watch_logs_log_group_arn,
            }
            for each in logs
        ]
    }


@operation(SERVICE, "ChangeResourceRecordSets")
def change_resource_record_sets(call: Call) -> Mapping[str, Any]:
    """Change records, all as asked or none."""
    zone = _zone(call, "HostedZoneId")
    stored = call.twin.store(Records, GLOBAL)
    now = _records(call, zone)
    place = Zone(zone.resource_id, zone.name)
    stored[zone.resource_id] = changed(call.twin, place, now, call.params["ChangeBatch"]["Changes"])
    info = {
        "Id": f"/change/C{uuid.uuid4().hex[:20].upper()}",
        "Status": "INSYNC",
        "SubmittedAt": datetime.now(UTC),
    }
    if comment := call.params["ChangeBatch"].get("Comment"):
        info["Comment"] = comment
    return {"ChangeInfo": info}


@operation(SERVICE, "ListResourceRecordSets")
def list_resource_record_sets(call: Call) -> Mapping[str, Any]:
    """List a zone's records in Route 53's order: by the labels of the name from the right."""
    params = call.params
    records = sorted(_records(call, _zone(call, "HostedZoneId")).values(), key=order_of)
    if "StartRecordType" in params and "StartRecordName" not in params:
        raise ServiceError("InvalidInput", "The input is not valid")
    if name := params.get("StartRecordName"):
        first = order_of(
            {
                "Name": name,
                "Type": params.get("StartRecordType", ""),
                "SetIdentifier": params.get("StartRecordIdentifier", ""),
            }
        )
        records = [record for record in records if order_of(record) >= first]
    limit = min(int(params.get("MaxItems") or PAGE), PAGE)
    answer: dict[str, Any] = {
        "ResourceRecordSets": records[:limit],
        "IsTruncated": len(records) > limit,
        "MaxItems": str(limit),
    }
    if len(records) > limit:
        following = records[limit]
        answer |= {"NextRecordName": following["Name"], "NextRecordType": following["Type"]}
        if "SetIdentifier" in following:
            answer["NextRecordIdentifier"] = following["SetIdentifier"]
    return answer
