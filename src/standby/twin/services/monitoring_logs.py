"""Monitoring: log groups with their key, class and filters, and flow logs that tell the truth.

Source: CloudWatch Logs API reference; its user guide, "Encrypt log data in CloudWatch Logs using
AWS KMS" (the key's policy must let the service of the region use it); EC2 API reference, FlowLog.
"""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError
from moto.core.utils import unix_time_millis, utcnow
from moto.logs.models import LogGroup, LogsBackend, logs_backends

from standby.twin.operations import Call, ServiceError, operation

SERVICE = "logs"
RETENTION = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731}
    | {1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
CONTEXT = "kms:EncryptionContext:aws:logs:arn"
KEY_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
PAGE = 50


class Classes(dict[str, str]):
    """The class of each log group that is not of the standard one, by name."""


class Protected(set[str]):
    """The names of the log groups that cannot be deleted."""


def _backend(call: Call) -> LogsBackend:
    backend: LogsBackend = logs_backends[call.account][call.region]
    return backend


def _group(call: Call, name: str) -> LogGroup:
    """Give a log group by name or ARN."""
    name = name.partition(":log-group:")[2].removesuffix(":*") if name.startswith("arn:") else name
    group = _backend(call).groups.get(name)
    if group is None:
        raise _missing("The specified log group does not exist.")
    return group


def _missing(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


@operation(SERVICE, "CreateLogGroup")
def create_log_group(call: Call) -> None:
    """Create a log group; its key must exist and let the service use it for this group."""
    name = call.params["logGroupName"]
    if key := call.params.get("kmsKeyId"):
        _check_key(call, key, f"arn:aws:logs:{call.region}:{call.account}:log-group:{name}")
    call.moto()
    if (kind := call.params.get("logGroupClass", "STANDARD")) != "STANDARD":
        call.store(Classes)[name] = kind
    if call.params.get("deletionProtectionEnabled"):
        call.store(Protected).add(name)


@operation(SERVICE, "AssociateKmsKey")
def associate_kms_key(call: Call) -> None:
    """Encrypt what a log group takes in from now on with a key."""
    group = _group(call, _named(call.params))
    _check_key(call, call.params["kmsKeyId"], group.arn)
    group.kms_key_id = call.params["kmsKeyId"]


@operation(SERVICE, "DisassociateKmsKey")
def disassociate_kms_key(call: Call) -> None:
    """Encrypt what a log group takes in from now on with the service's own key."""
    _group(call, _named(call.params)).kms_key_id = None


def _named(params: Mapping[str, Any]) -> str:
    return str(params.get("logGroupName") or params.get("resourceIdentifier", ""))


def _check_key(call: Call, key: str, group: str) -> None:
    """Refuse a key that the service could not use for a log group.

    Raises:
        ServiceError: The key does not exist, is not enabled or its policy does not allow it.
    """
    refusal = ServiceError(
        "AccessDeniedException",
        f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'",
    )
    kms = call.twin.client("kms", call.region)
    try:
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    except ClientError:
        raise refusal from None
    principals = {f"logs.{call.region}.amazonaws.com", "logs.amazonaws.com"}
    allowed = [
        action
        for statement in _listed(policy["Statement"])
        if statement["Effect"] == "Allow" and _speaks_of(statement, principals, group)
        for action in _listed(statement.get("Action", []))
    ]
    usable = all(any(fnmatchcase(need, action) for action in allowed) for need in KEY_ACTIONS)
    if state != "Enabled" or not usable:
        raise refusal


def _speaks_of(statement: Mapping[str, Any], services: set[str], group: str) -> bool:
    """Say whether a statement of a key's policy is about these services and this log group."""
    principal = statement.get("Principal", {})
    named = _listed(principal.get("Service", [])) if isinstance(principal, Mapping) else []
    if not services & set(named):
        return False
    return all(
        any(fnmatchcase(group, pattern) for pattern in _listed(condition[CONTEXT]))
        for condition in statement.get("Condition", {}).values()
        if CONTEXT in condition
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@operation(SERVICE, "DeleteLogGroup")
def delete_log_group(call: Call) -> None:
    """Delete a log group and its filters, unless it is protected."""
    name, backend = call.params["logGroupName"], _backend(call)
    if name in call.store(Protected):
        raise ServiceError(
            "ValidationException", f"Log group {name} cannot be deleted: deletion is protected"
        )
    arn = _group(call, name).arn
    call.moto()
    call.store(Classes).pop(name, None)
    backend.tagger.delete_all_tags_for_resource(arn)
    filters = backend.filters
    filters.metric_filters = [f for f in filters.metric_filters if f["logGroupName"] != name]


@operation(SERVICE, "PutLogGroupDeletionProtection")
def put_log_group_deletion_protection(call: Call) -> None:
    """Protect a log group from deletion, or no longer."""
    name = _group(call, call.params["logGroupIdentifier"]).name
    if call.params["deletionProtectionEnabled"]:
        call.store(Protected).add(name)
    else:
        call.store(Protected).discard(name)


@operation(SERVICE, "PutRetentionPolicy")
def put_retention_policy(call: Call) -> Mapping[str, Any]:
    """Set for how many days a log group keeps its events."""
    if (days := call.params["retentionInDays"]) not in RETENTION:
        raise ServiceError(
            "InvalidParameterException", f"1 validation error detected: retentionInDays {days}"
        )
    return call.moto()


@operation(SERVICE, "DescribeLogGroups")
def describe_log_groups(call: Call) -> Mapping[str, Any]:
    """Describe log groups, chosen by prefix, pattern, class or identity."""
    groups = list(_chosen(call))
    start = int(call.params.get("nextToken") or 0)
    end = start + int(call.params.get("limit", PAGE))
    more = {"nextToken": str(end)} if end < len(groups) else {}
    return {"logGroups": groups[start:end]} | more


def _chosen(call: Call) -> Iterator[dict[str, Any]]:
    params, backend = call.params, _backend(call)
    wanted = {_group(call, each).name for each in params.get("logGroupIdentifiers", ())}
    for name, group in sorted(backend.groups.items()):
        kind = call.store(Classes).get(name, "STANDARD")
        if (
            name.startswith(params.get("logGroupNamePrefix", ""))
            and params.get("logGroupNamePattern", "").lower() in name.lower()
            and params.get("logGroupClass", kind) == kind
            and (not wanted or name in wanted)
        ):
            filters = backend.filters.get_matching_filters(log_group_name=name)
            yield group.to_describe_dict() | {
                "logGroupClass": kind,
                "deletionProtectionEnabled": name in call.store(Protected),
                "metricFilterCount": len(filters),
            }


@operation(SERVICE, "PutMetricFilter")
def put_metric_filter(call: Call) -> None:
    """Create a filter, or replace the one of its name."""
    params, filters = dict(call.params), _backend(call).filters
    _group(call, params["logGroupName"])
    for each in params["metricTransformations"]:
        if "dimensions" in each and "defaultValue" in each:
            raise ServiceError(
                "InvalidParameterException",
                "Invalid metric transformation: dimensions and default value are mutually "
                "exclusive properties.",
            )
    filters.delete_filter(params["filterName"], params["logGroupName"])
    filters.metric_filters.append(params | {"creationTime": int(unix_time_millis(utcnow()))})


@operation(SERVICE, "DeleteMetricFilter")
def delete_metric_filter(call: Call) -> None:
    """Delete a filter."""
    name, group = call.params["filterName"], call.params["logGroupName"]
    filters = _backend(call).filters
    if not any(
        each["filterName"] == name
        for each in filters.get_matching_filters(log_group_name=_group(call, group).name)
    ):
        raise _missing("The specified metric filter does not exist.")
    filters.delete_filter(name, group)


@operation("ec2", "DescribeFlowLogs")
def describe_flow_logs(call: Call) -> Mapping[str, Any]:
    """Describe flow logs; one that cannot deliver says so."""
    answer = call.moto()
    for each in answer.get("FlowLogs", ()):
        if each.get("LogDestinationType", "cloud-watch-logs") != "cloud-watch-logs":
            continue
        destination = each.get("LogGroupName") or each.get("LogDestination", "")
        delivers = _role_exists(call, each) and _group_exists(call, destination)
        each["DeliverLogsStatus"] = "SUCCESS" if delivers else "FAILED"
        each.pop("DeliverLogsErrorMessage", None)
        if not delivers:
            each["DeliverLogsErrorMessage"] = "Access error"
    return answer


def _group_exists(call: Call, name: str) -> bool:
    try:
        _group(call, name)
    except ServiceError:
        return False
    return True


def _role_exists(call: Call, flow_log: Mapping[str, Any]) -> bool:
    name = re.sub(r".*:role/(?:.*/)?", "", flow_log.get("DeliverLogsPermissionArn", ""))
    try:
        call.twin.client("iam", call.region).get_role(RoleName=name)
    except ClientError:
        return False
    return True
