"""Database: what moto's Secrets Manager leaves out of replicas and resource policies.

Source: Secrets Manager API reference.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto.secretsmanager.models import FakeSecret, ReplicaSecret, secretsmanager_backends

from standby.twin.operations import Call, ServiceError, operation
from standby.twin.services.security import key_arn

SERVICE = "secretsmanager"
OWN_KEY = f"alias/aws/{SERVICE}"


def _secret(call: Call, id_: str) -> FakeSecret | ReplicaSecret:
    found = secretsmanager_backends[call.account][call.region].secrets.get(id_)
    if found is None:
        raise ServiceError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    return found


@operation(SERVICE, "CreateSecret")
def create_secret(call: Call) -> Mapping[str, Any]:
    """Create a secret under a key that exists, and its replicas under theirs."""
    if key := call.params.get("KmsKeyId"):
        key_arn(call, key, SERVICE)
    answer = call.moto()
    return answer | _with_keys(call, answer["ARN"], call.params.get("AddReplicaRegions", ()))


@operation(SERVICE, "ReplicateSecretToRegions")
def replicate_secret_to_regions(call: Call) -> Mapping[str, Any]:
    """Replicate a secret to more regions, each replica under a key of its own."""
    answer = call.moto()
    arn = _secret(call, call.params["SecretId"]).arn
    return answer | {"ARN": arn} | _with_keys(call, arn, call.params["AddReplicaRegions"])


def _with_keys(call: Call, arn: str, wanted: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Note the key of each new replica; one whose key cannot be used has failed."""
    replicas = {replica.region: replica for replica in _secret(call, arn).replicas}
    for each in wanted:
        replica, key = replicas[each["Region"]], each.get("KmsKeyId")
        replica.config["KmsKeyId"] = key or OWN_KEY
        try:
            key_arn(call, key, SERVICE, each["Region"])
        except ServiceError as error:
            replica.config |= {"Status": "Failed", "StatusMessage": error.message}
    return {"ReplicationStatus": [replica.config for replica in replicas.values()]}


@operation(SERVICE, "DescribeSecret")
def describe_secret(call: Call) -> Mapping[str, Any]:
    """Describe a secret; a replica has a key of its own, and both ends name the primary."""
    answer = call.moto()
    found = _secret(call, answer["ARN"])
    if isinstance(found, ReplicaSecret):
        key = found.config["KmsKeyId"]
        answer.pop("KmsKeyId", None)
        return answer if key == OWN_KEY else answer | {"KmsKeyId": key}
    return answer | ({"PrimaryRegion": call.region} if found.replicas else {})


@operation(SERVICE, "UpdateSecret")
def update_secret(call: Call) -> Mapping[str, Any]:
    """Change a secret; moto cannot take a description away."""
    if key := call.params.get("KmsKeyId"):
        key_arn(call, key, SERVICE)
    answer = call.moto()
    if call.params.get("Description") == "":
        _secret(call, answer["ARN"]).description = ""
    return answer


@operation(SERVICE, "PutResourcePolicy")
def put_resource_policy(call: Call) -> Mapping[str, Any]:
    """Attach a policy to a secret; when asked to, refuse one that is open to anyone."""
    if call.params.get("BlockPublicPolicy"):
        document = json.loads(call.params["ResourcePolicy"])
        if any(_is_open(statement) for statement in _listed(document["Statement"])):
            raise ServiceError(
                "PublicPolicyException", "The resource policy grants access to anyone."
            )
    return call.moto()


def _is_open(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = _listed(principal.get("AWS")) if isinstance(principal, dict) else [principal]
    return "*" in named and statement["Effect"] == "Allow" and not statement.get("Condition")


def _listed(value: Any) -> list[Any]:
    """Give a list for an element that policies may write as one value or as several."""
    return value if isinstance(value, list) else [value]
