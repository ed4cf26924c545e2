"""DNS: which changes to a zone's records Route 53 takes, and which it refuses.

Source: Route 53 API reference, ChangeResourceRecordSets and ResourceRecordSet; developer guide,
"Choosing between alias and non-alias records" and "Values specific for failover records".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standby.twin.operations import ServiceError
from standby.twin.services.dns_health import balancer_region, find_balancer, health_checks
from standby.twin.services.load_balancing import ZONES

if TYPE_CHECKING:
    from standby.twin.twin import Twin

ROUTING = (
    "CidrRoutingConfig",
    "Failover",
    "GeoLocation",
    "GeoProximityLocation",
    "MultiValueAnswer",
    "Region",
    "Weight",
)
"""What says how one of several records of a name is chosen."""
Key = tuple[str, str, str]
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Zone:
    """A zone: its id and its name, with the dot at the end."""

    id: str
    name: str


def key_of(record: Record) -> Key:
    """Give what tells a record from the others of its zone."""
    return record["Name"], record["Type"], record.get("SetIdentifier", "")


def order_of(record: Record) -> tuple[list[str], str, str]:
    """Give a record's place among the others."""
    name, kind, identifier = key_of(record)
    return _absolute(name).rstrip(".").split(".")[::-1], kind, identifier


def changed(
    twin: "Twin", zone: Zone, records: Mapping[Key, Record], changes: Iterable[Mapping[str, Any]]
) -> dict[Key, Record]:
    """Give a zone's records after changes.

    Raises:
        ServiceError: One of the changes is refused, so none is made.
    """
    after = dict(records)
    for change in changes:
        record = _normal(change["ResourceRecordSet"])
        key = key_of(record)
        what = f"resource record set [name='{key[0]}', type='{key[1]}'"
        what += f", set-identifier='{key[2]}']" if key[2] else "]"
        if change["Action"] == "DELETE":
            if key not in after:
                raise _refused(f"Tried to delete {what} but it was not found")
            if after[key] != record:
                raise _refused(
                    f"Tried to delete {what} but the values provided do not match the "
                    "current values"
                )
            del after[key]
            continue
        if change["Action"] == "CREATE" and key in after:
            raise _refused(f"Tried to create {what} but it already exists")
        _check_values(record)
        _check_name(record, zone)
        after[key] = record
    for key, record in after.items():
        if records.get(key) != record:
            _check_neighbours(record, after)
            _check_health_check(twin, record)
            _check_alias(twin, record, zone, after)
    return after


def _refused(problem: str) -> ServiceError:
    return ServiceError("InvalidChangeBatch", f"[{problem}]")


def _absolute(name: str) -> str:
    return name.lower().rstrip(".") + "."


def _normal(record: Record) -> Record:
    """Write a record as Route 53 does, with names in full."""
    found = {**record, "Name": _absolute(record["Name"]).replace("*", "\\052")}
    if alias := record.get("AliasTarget"):
        found["AliasTarget"] = {**alias, "DNSName": _absolute(alias["DNSName"])}
    return found


def _check_values(record: Record) -> None:
    """Refuse a record that says too little or too much."""
    values = "TTL" in record and bool(record.get("ResourceRecords"))
    if values == ("AliasTarget" in record) or ("TTL" in record and not values):
        raise ServiceError(
            "InvalidInput",
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and "
            f"ResourceRecords], or TrafficPolicyInstanceId] in Change with [Name={record['Name']}"
            f", Type={record['Type']}]",
        )
    routing = _routing(record)
    if len(routing) > 1:
        raise ServiceError("InvalidInput", f"Invalid request: only one of {', '.join(routing)}")
    if bool(routing) != bool(record.get("SetIdentifier")):
        missing = "SetIdentifier" if routing else "a routing policy"
        raise ServiceError(
            "InvalidInput", f"Invalid request: Missing {missing} of {record['Name']}"
        )


def _routing(record: Record) -> list[str]:
    return [key for key in ROUTING if record.get(key) is not None and record[key] is not False]


def _check_name(record: Record, zone: Zone) -> None:
    name = record["Name"]
    if name != zone.name and not name.endswith(f".{zone.name}"):
        raise _refused(f"RRSet with DNS name {name} is not permitted in zone {zone.name}")
    if name == zone.name and record["Type"] == "CNAME":
        raise _refused(f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone")


def _check_neighbours(record: Record, records: Mapping[Key, Record]) -> None:
    """Refuse a record that does not go with the others of its name."""
    name, kind, _ = key = key_of(record)
    others = [each for each in records.values() if each["Name"] == name and key_of(each) != key]
    for other in others:
        if "CNAME" in {kind, other["Type"]} and kind != other["Type"]:
            raise _refused(
                f"RRSet of type {kind} with DNS name {name} is not permitted as it conflicts "
                f"with other records with the same DNS name"
            )
        if other["Type"] != kind:
            continue
        if _routing(other) != _routing(record):
            raise _refused(
                f"RRSet with DNS name {name}, type {kind} cannot be created as other RRSets "
                "exist with the same name and type and another routing policy"
            )
        if "Failover" in record and other.get("Failover") == record["Failover"]:
            raise _refused(
                f"Failover record {name}, type {kind}: another {record['Failover']} exists"
            )


def _check_health_check(twin: "Twin", record: Record) -> None:
    id_ = record.get("HealthCheckId")
    if id_ and id_ not in health_checks(twin):
        raise ServiceError("NoSuchHealthCheck", f"No health check exists with ID: {id_}")


def _check_alias(twin: "Twin", record: Record, zone: Zone, records: Mapping[Key, Record]) -> None:
    """Refuse an alias to what is not there, or not in the zone it names."""
    alias = record.get("AliasTarget")
    if alias is None:
        return
    name, target_zone = alias["DNSName"], alias["HostedZoneId"]
    what = f"Tried to create an alias that targets {name}, type {record['Type']} "
    what += f"in zone {target_zone}, but "
    if target_zone == zone.id:
        if not any(key[:2] == (name, record["Type"]) for key in records):
            raise _refused(f"{what}that target was not found")
        return
    outside = _refused(f"{what}the alias target name does not lie within the target zone")
    if balancer_region(name) is None:
        if target_zone in ZONES.values():
            raise outside
        return
    balancer = find_balancer(twin, name)
    if balancer is None:
        raise _refused(f"{what}that target was not found")
    if balancer["CanonicalHostedZoneId"] != target_zone:
        raise outside
