"""Security: roles, their policies, and the instance profiles that carry them to instances.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "AWS Identity
and Access Management"; names and limits: IAM API reference.
"""

import json
from collections.abc import Mapping
from typing import Any

from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler

_ENTITIES = {"Groups": "group", "Roles": "role", "Users": "user"}
"""The properties that name who has a policy, and how IAM's operations name each kind."""


@handler("AWS::IAM::Role")
class Role(Configured):
    """An identity that a principal may assume."""

    def make(self, r: Resource) -> Created:
        """Create the role."""
        wanted = r.properties
        role = r.client("iam").create_role(
            RoleName=wanted.get("RoleName") or r.generated_name(),
            AssumeRolePolicyDocument=wanted.document("AssumeRolePolicyDocument"),
            Tags=r.all_tags(),
            **wanted.pick("Path", "Description", "MaxSessionDuration", "PermissionsBoundary"),
        )["Role"]
        return Created(role["RoleName"], {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def configure(self, r: Resource) -> None:
        """Set the policies and, after creation, everything else that can change."""
        iam, role = r.client("iam"), {"RoleName": r.physical_id}
        if r.previous:
            self._change(r)
        before, after = _inline(r.previous), _inline(r.properties)
        for name in before.keys() - after.keys():
            iam.delete_role_policy(**role, PolicyName=name)
        for name, document in after.items():
            if document != before.get(name):
                iam.put_role_policy(**role, PolicyName=name, PolicyDocument=document)
        attached = set(r.previous.get("ManagedPolicyArns", ()))
        wanted = r.properties.get("ManagedPolicyArns", ())
        for arn in sorted(attached - {*wanted}):
            iam.detach_role_policy(**role, PolicyArn=arn)
        for arn in wanted:
            if arn not in attached:
                iam.attach_role_policy(**role, PolicyArn=arn)

    def _change(self, r: Resource) -> None:
        iam, role, wanted = r.client("iam"), {"RoleName": r.physical_id}, r.properties
        if r.changed("AssumeRolePolicyDocument"):
            document = wanted.document("AssumeRolePolicyDocument")
            iam.update_assume_role_policy(**role, PolicyDocument=document)
        if r.changed("Description", "MaxSessionDuration"):
            iam.update_role(
                **role,
                Description=wanted.get("Description", ""),
                MaxSessionDuration=int(wanted.get("MaxSessionDuration", 3600)),
            )
        if boundary := wanted.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(**role, PermissionsBoundary=boundary)
        elif r.previous.get("PermissionsBoundary"):
            iam.delete_role_permissions_boundary(**role)
        if dropped := r.dropped_tags():
            iam.untag_role(**role, TagKeys=dropped)
        if tags := r.all_tags():
            iam.tag_role(**role, Tags=tags)

    def delete(self, r: Resource) -> None:
        """Delete the role with its own policies; another's instance profile forbids that."""
        iam, role = r.client("iam"), {"RoleName": r.physical_id}
        with gone_is_fine():
            for name in iam.list_role_policies(**role)["PolicyNames"]:
                iam.delete_role_policy(**role, PolicyName=name)
            for policy in iam.list_attached_role_policies(**role)["AttachedPolicies"]:
                iam.detach_role_policy(**role, PolicyArn=policy["PolicyArn"])
            iam.delete_role(**role)


def _inline(properties: Mapping[str, Any]) -> dict[str, str]:
    """Give the documents of a role's inline policies by name."""
    return {
        policy["PolicyName"]: json.dumps(policy["PolicyDocument"])
        for policy in properties.get("Policies", ())
    }


@handler("AWS::IAM::Policy")
class Policy(Handler):
    """An inline policy, the same in each of the roles, users and groups that it names."""

    def create(self, r: Resource) -> Created:
        """Put the policy into each."""
        self._put(r)
        name = r.generated_name()
        return Created(name, {"Id": name})

    def update(self, r: Resource) -> Created:
        """Put the policy anew, and remove it where its name or its holder was dropped."""
        self._put(r)
        former = r.previous["PolicyName"]
        renamed = former != r.properties["PolicyName"]
        for kind, name in _holders(r.previous):
            if renamed or (kind, name) not in _holders(r.properties):
                _remove(r, kind, name, former)
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Remove the policy from each."""
        for kind, name in _holders(r.properties):
            _remove(r, kind, name, r.properties["PolicyName"])

    @staticmethod
    def _put(r: Resource) -> None:
        iam = r.client("iam")
        for kind, name in _holders(r.properties):
            getattr(iam, f"put_{kind}_policy")(
                **_named(kind, name),
                PolicyName=r.properties["PolicyName"],
                PolicyDocument=r.properties.document("PolicyDocument"),
            )


@handler("AWS::IAM::ManagedPolicy")
class ManagedPolicy(Configured):
    """A policy of its own, attached to roles, users and groups; ``Ref`` is its ARN."""

    def make(self, r: Resource) -> Created:
        """Create the policy."""
        wanted = r.properties
        policy = r.client("iam").create_policy(
            PolicyName=wanted.get("ManagedPolicyName") or r.generated_name(128),
            PolicyDocument=wanted.document("PolicyDocument"),
            **wanted.pick("Path", "Description"),
        )["Policy"]
        return Created(
            policy["Arn"],
            {
                "PolicyArn": policy["Arn"],
                "PolicyId": policy["PolicyId"],
                "AttachmentCount": 0,
                "PermissionsBoundaryUsageCount": 0,
                "DefaultVersionId": policy["DefaultVersionId"],
                "IsAttachable": policy["IsAttachable"],
                "CreateDate": policy["CreateDate"].isoformat(),
                "UpdateDate": policy["UpdateDate"].isoformat(),
            },
        )

    def configure(self, r: Resource) -> None:
        """Attach the policy to whom it names, and make its document the only version."""
        iam, policy = r.client("iam"), {"PolicyArn": r.physical_id}
        document = r.properties.document("PolicyDocument")
        if r.previous and r.properties["PolicyDocument"] != r.previous["PolicyDocument"]:
            iam.create_policy_version(**policy, PolicyDocument=document, SetAsDefault=True)
            for version in iam.list_policy_versions(**policy)["Versions"]:
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(**policy, VersionId=version["VersionId"])
        before, after = _holders(r.previous), _holders(r.properties)
        for kind, name in after - before:
            getattr(iam, f"attach_{kind}_policy")(**_named(kind, name), **policy)
        for kind, name in before - after:
            with gone_is_fine():
                getattr(iam, f"detach_{kind}_policy")(**_named(kind, name), **policy)

    def delete(self, r: Resource) -> None:
        """Detach the policy from everyone and delete it."""
        iam, policy = r.client("iam"), {"PolicyArn": r.physical_id}
        with gone_is_fine():
            holders = iam.list_entities_for_policy(**policy)
            for kind in _ENTITIES.values():
                for holder in holders[f"Policy{kind.title()}s"]:
                    name = holder[f"{kind.title()}Name"]
                    getattr(iam, f"detach_{kind}_policy")(**_named(kind, name), **policy)
            for version in iam.list_policy_versions(**policy)["Versions"]:
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(**policy, VersionId=version["VersionId"])
            iam.delete_policy(**policy)


@handler("AWS::IAM::InstanceProfile")
class InstanceProfile(Configured):
    """What an instance is given to have a role."""

    def make(self, r: Resource) -> Created:
        """Create the profile, empty."""
        profile = r.client("iam").create_instance_profile(
            InstanceProfileName=r.properties.get("InstanceProfileName") or r.generated_name(128),
            **r.properties.pick("Path"),
        )["InstanceProfile"]
        return Created(profile["InstanceProfileName"], {"Arn": profile["Arn"]})

    def configure(self, r: Resource) -> None:
        """Put the role into the profile; it has room for one, so the former leaves first."""
        iam, profile = r.client("iam"), {"InstanceProfileName": r.physical_id}
        before, after = r.previous.get("Roles", []), r.properties["Roles"]
        for role in before:
            if role not in after:
                iam.remove_role_from_instance_profile(**profile, RoleName=role)
        for role in after:
            if role not in before:
                iam.add_role_to_instance_profile(**profile, RoleName=role)

    def delete(self, r: Resource) -> None:
        """Take the role out and delete the profile."""
        iam, profile = r.client("iam"), {"InstanceProfileName": r.physical_id}
        with gone_is_fine():
            found = iam.get_instance_profile(**profile)["InstanceProfile"]
            for role in found["Roles"]:
                iam.remove_role_from_instance_profile(**profile, RoleName=role["RoleName"])
            iam.delete_instance_profile(**profile)


def _holders(properties: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Give kind and name of everyone a policy is for."""
    return frozenset(
        (kind, name) for key, kind in _ENTITIES.items() for name in properties.get(key, ())
    )


def _named(kind: str, name: str) -> dict[str, str]:
    return {f"{kind.title()}Name": name}


def _remove(r: Resource, kind: str, name: str, policy: str) -> None:
    with gone_is_fine():
        getattr(r.client("iam"), f"delete_{kind}_policy")(**_named(kind, name), PolicyName=policy)
