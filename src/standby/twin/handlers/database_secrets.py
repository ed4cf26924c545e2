"""Database: secrets, their replicas in other regions, and what ties them to a database.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "AWS Secrets
Manager".
"""

import json
from collections.abc import Mapping
from typing import Any

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler
from standby.twin.shapes import call


@handler("AWS::SecretsManager::Secret")
class Secret(Configured):
    """A secret value, the same in each region it is replicated to; ``Ref`` is its ARN."""

    def make(self, r: Resource) -> Created:
        """Create the secret with its first value, if it has one, and its replicas."""
        value = self._value(r)
        arn = r.client("secretsmanager").create_secret(
            Name=r.properties.get("Name") or r.generated_name(),
            Tags=r.all_tags(),
            **({} if value is None else {"SecretString": value}),
            **r.properties.pick("Description", "KmsKeyId"),
        )["ARN"]
        return Created(arn, {"Id": arn})

    def configure(self, r: Resource) -> None:
        """Bring the replicas to what is wanted and, after creation, everything else."""
        if r.previous:
            self._change(r)
        secrets, secret = r.client("secretsmanager"), {"SecretId": r.physical_id}
        before = r.previous.get("ReplicaRegions", [])
        after = r.properties.get("ReplicaRegions", [])
        if dropped := [each["Region"] for each in before if each not in after]:
            secrets.remove_regions_from_replication(**secret, RemoveReplicaRegions=dropped)
        if added := [each for each in after if each not in before]:
            answer = secrets.replicate_secret_to_regions(**secret, AddReplicaRegions=added)
            for replica in answer["ReplicationStatus"]:
                if replica["Status"] != "InSync":
                    raise TemplateError(
                        f"{r.logical_id} in {replica['Region']}: {replica['StatusMessage']}"
                    )

    def _change(self, r: Resource) -> None:
        secrets, secret = r.client("secretsmanager"), {"SecretId": r.physical_id}
        changes: dict[str, Any] = {}
        if r.changed("Description"):
            changes["Description"] = r.properties.get("Description", "")
        if r.changed("KmsKeyId"):
            changes["KmsKeyId"] = r.properties.get("KmsKeyId", "alias/aws/secretsmanager")
        if r.changed("SecretString", "GenerateSecretString"):
            value = self._value(r)
            changes |= {} if value is None else {"SecretString": value}
        if changes:
            secrets.update_secret(**secret, **changes)
        if dropped := r.dropped_tags():
            secrets.untag_resource(**secret, TagKeys=dropped)
        if tags := r.all_tags():
            secrets.tag_resource(**secret, Tags=tags)

    @staticmethod
    def _value(r: Resource) -> str | None:
        """Give the value that the template states or has generated; None leaves it empty."""
        generated = r.properties.get("GenerateSecretString")
        if generated is None:
            value = r.properties.get("SecretString")
            return None if value is None else str(value)
        rules = dict(generated)
        template, key = (
            rules.pop("SecretStringTemplate", None),
            rules.pop("GenerateStringKey", None),
        )
        if (template is None) != (key is None):
            raise TemplateError(
                f"{r.logical_id}: SecretStringTemplate and GenerateStringKey go together"
            )
        password = call(r.client("secretsmanager"), "GetRandomPassword", **rules)["RandomPassword"]
        if template is None:
            return str(password)
        try:
            return json.dumps(json.loads(template) | {key: password})
        except (ValueError, TypeError):
            raise TemplateError(
                f"{r.logical_id}: SecretStringTemplate is not a JSON object"
            ) from None

    def delete(self, r: Resource) -> None:
        """Delete the replicas and the secret, at once: its name is free again."""
        secrets, secret = r.client("secretsmanager"), {"SecretId": r.physical_id}
        with gone_is_fine():
            found = secrets.describe_secret(**secret)
            if regions := [each["Region"] for each in found.get("ReplicationStatus", ())]:
                secrets.remove_regions_from_replication(**secret, RemoveReplicaRegions=regions)
            secrets.delete_secret(**secret, ForceDeleteWithoutRecovery=True)


@handler("AWS::SecretsManager::ResourcePolicy")
class ResourcePolicy(Handler):
    """Who else may use a secret; ``Ref`` is the secret's ARN."""

    def create(self, r: Resource) -> Created:
        """Put the policy."""
        arn = r.client("secretsmanager").put_resource_policy(
            ResourcePolicy=r.properties.document("ResourcePolicy"),
            **r.properties.pick("SecretId", "BlockPublicPolicy"),
        )["ARN"]
        return Created(arn, {"Id": arn})

    def update(self, r: Resource) -> Created:
        """Put the changed policy."""
        return self.create(r)

    def delete(self, r: Resource) -> None:
        """Remove the policy."""
        with gone_is_fine():
            r.client("secretsmanager").delete_resource_policy(SecretId=r.physical_id)


@handler("AWS::SecretsManager::SecretTargetAttachment")
class SecretTargetAttachment(Handler):
    """A database's connection details, kept in its secret; ``Ref`` is the secret's ARN."""

    def create(self, r: Resource) -> Created:
        """Write the details into the secret's value, beside user and password."""
        arn = self._write(r, self._details(r), drop=())
        return Created(arn, {"Id": arn})

    def update(self, r: Resource) -> Created:
        """Write the details of another target."""
        return self.create(r)

    def delete(self, r: Resource) -> None:
        """Take the details out of the secret's value."""
        with gone_is_fine():
            self._write(r, {}, drop=("engine", "host", "port", "dbname", "dbInstanceIdentifier"))

    @staticmethod
    def _details(r: Resource) -> dict[str, Any]:
        kind = r.properties["TargetType"]
        if kind != "AWS::RDS::DBInstance":
            raise TemplateError(f"{r.logical_id}: the twin attaches no secret to {kind}")
        target = r.properties["TargetId"]
        answer = r.client("rds").describe_db_instances(DBInstanceIdentifier=target)
        instance = answer["DBInstances"][0]
        details = {
            "engine": instance["Engine"],
            "host": instance["Endpoint"]["Address"],
            "port": instance["Endpoint"]["Port"],
            "dbInstanceIdentifier": instance["DBInstanceIdentifier"],
        }
        return details | ({"dbname": instance["DBName"]} if instance.get("DBName") else {})

    @staticmethod
    def _write(r: Resource, details: Mapping[str, Any], *, drop: tuple[str, ...]) -> str:
        secrets, id_ = r.client("secretsmanager"), r.properties["SecretId"]
        former = secrets.get_secret_value(SecretId=id_)["SecretString"]
        try:
            kept = {key: value for key, value in json.loads(former).items() if key not in drop}
        except (ValueError, AttributeError):
            raise TemplateError(f"{r.logical_id}: the secret is not a JSON object") from None
        value = json.dumps({**kept, **details})
        return str(secrets.put_secret_value(SecretId=id_, SecretString=value)["ARN"])
