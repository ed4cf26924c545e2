"""Security: keys and their aliases.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "AWS Key
Management Service".
"""

from typing import Any

from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler

_FIXED = ("KeySpec", "KeyUsage", "MultiRegion", "Origin")
"""What a key keeps for life."""
ROTATION_DAYS = 365
"""Days between rotations where nobody says otherwise (KMS API, EnableKeyRotation)."""


@handler("AWS::KMS::Key")
class Key(Configured):
    """A key; ``Ref`` is its id."""

    def make(self, r: Resource) -> Created:
        """Create the key with its policy, or with KMS's own where the template has none."""
        wanted = r.properties
        options = wanted.pick("Description", "BypassPolicyLockoutSafetyCheck", *_FIXED)
        if "KeyPolicy" in wanted:
            options["Policy"] = wanted.document("KeyPolicy")
        tags = [_tag(tag) for tag in r.all_tags()]
        key = r.client("kms").create_key(Tags=tags, **options)["KeyMetadata"]
        wanted.get("PendingWindowInDays")  # read when the key is deleted
        return Created(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})

    def configure(self, r: Resource) -> None:
        """Set state and rotation and, after creation, everything else that can change."""
        kms, key, wanted = r.client("kms"), {"KeyId": r.physical_id}, r.properties
        if r.previous:
            self._change(r)
        enabled = wanted.get("Enabled", True)
        was_enabled = r.previous.get("Enabled", True)
        if enabled and not was_enabled:
            kms.enable_key(**key)
        rotation, former = _rotation(wanted), _rotation(r.previous)
        if rotation and rotation != former:
            kms.enable_key_rotation(**key, RotationPeriodInDays=rotation)
        elif former and not rotation:
            kms.disable_key_rotation(**key)
        if was_enabled and not enabled:
            kms.disable_key(**key)

    def _change(self, r: Resource) -> None:
        kms, key, wanted = r.client("kms"), {"KeyId": r.physical_id}, r.properties
        if wanted.get("KeyPolicy") != r.previous.get("KeyPolicy"):
            kms.put_key_policy(**key, PolicyName="default", Policy=wanted.document("KeyPolicy"))
        if wanted.get("Description", "") != r.previous.get("Description", ""):
            kms.update_key_description(**key, Description=wanted.get("Description", ""))
        if dropped := r.dropped_tags():
            kms.untag_resource(**key, TagKeys=dropped)
        if tags := r.all_tags():
            kms.tag_resource(**key, Tags=[_tag(tag) for tag in tags])
        wanted.get("PendingWindowInDays")

    def delete(self, r: Resource) -> None:
        """Schedule the deletion: KMS lets nobody delete a key at once."""
        kms, key = r.client("kms"), {"KeyId": r.physical_id}
        with gone_is_fine():
            state = kms.describe_key(**key)["KeyMetadata"]["KeyState"]
            if state != "PendingDeletion":
                window = int(r.properties.get("PendingWindowInDays", 30))
                kms.schedule_key_deletion(**key, PendingWindowInDays=window)


def _rotation(properties: Any) -> int | None:
    """Give the days between rotations, or None where the key is not rotated."""
    days = properties.get("RotationPeriodInDays", ROTATION_DAYS)
    return int(days) if properties.get("EnableKeyRotation") else None


def _tag(tag: dict[str, str]) -> dict[str, str]:
    return {"TagKey": tag["Key"], "TagValue": tag["Value"]}


@handler("AWS::KMS::Alias")
class Alias(Handler):
    """Another name of a key."""

    def create(self, r: Resource) -> Created:
        """Create the alias; a name that is taken is refused."""
        r.client("kms").create_alias(**r.properties.pick("AliasName", "TargetKeyId"))
        return Created(r.properties["AliasName"])

    def update(self, r: Resource) -> Created:
        """Point the alias to another key."""
        r.client("kms").update_alias(**r.properties.pick("AliasName", "TargetKeyId"))
        return Created(r.physical_id)

    def delete(self, r: Resource) -> None:
        """Delete the alias."""
        with gone_is_fine():
            r.client("kms").delete_alias(AliasName=r.physical_id)
