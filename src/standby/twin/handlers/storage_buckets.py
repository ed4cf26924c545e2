"""Storage: buckets and their policies, and repositories of container images.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Amazon S3" and
"Amazon ECR"; of what a new bucket has by itself: S3 user guide, "Default settings for new S3
buckets" (encrypted with SSE-S3, public access blocked, ACLs disabled).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler

Rule = Mapping[str, Any]


def _renamed(rule: Rule, **names: str) -> dict[str, Any]:
    """Give a rule with some keys named as the API names them; what it lacks stays out."""
    return {names.get(key, key): value for key, value in rule.items()}


def _encryption(value: Rule) -> dict[str, Any]:
    default = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = value["ServerSideEncryptionConfiguration"]
    return {"Rules": [_renamed(rule, **default) for rule in rules]}


def _lifecycle(value: Rule) -> dict[str, Any]:
    rest = {key: item for key, item in value.items() if key != "Rules"}
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]], **rest}


def _lifecycle_rule(rule: Rule) -> dict[str, Any]:
    """Bring a rule from CloudFormation's flat shape to the API's."""
    left = dict(rule)
    terms: dict[str, Any] = {
        key: left.pop(key)
        for key in ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
        if key in left
    }
    terms |= {key: int(size) for key, size in terms.items() if key != "Prefix"}
    tags = left.pop("TagFilters", [])
    if len(terms) + len(tags) > 1:
        filters: dict[str, Any] = {"And": terms | ({"Tags": tags} if tags else {})}
    else:
        filters = {"Tag": tags[0]} if tags else terms or {"Prefix": ""}
    expiration = {
        name: left.pop(key)
        for key, name in (
            ("ExpirationInDays", "Days"),
            ("ExpirationDate", "Date"),
            ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
        )
        if key in left
    }
    found: dict[str, Any] = {"Filter": filters}
    if expiration:
        found["Expiration"] = expiration
    if moves := _moves(left, "Transition"):
        found["Transitions"] = [
            _renamed(move, TransitionInDays="Days", TransitionDate="Date") for move in moves
        ]
    if moves := _moves(left, "NoncurrentVersionTransition"):
        found["NoncurrentVersionTransitions"] = [
            _renamed(move, TransitionInDays="NoncurrentDays") for move in moves
        ]
    if days := left.pop("NoncurrentVersionExpirationInDays", None):
        found["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    return found | _renamed(left, Id="ID")


def _moves(rule: dict[str, Any], key: str) -> list[Rule]:
    """Take a rule's transitions, which it may write as one or as several."""
    one = rule.pop(key, None)
    return [*rule.pop(f"{key}s", []), *([one] if one else [])]


def _logging(value: Rule) -> dict[str, Any]:
    names = {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"}
    return {"LoggingEnabled": {"TargetPrefix": ""} | _renamed(value, **names)}


def _cors(value: Rule) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "Id": "ID", "MaxAge": "MaxAgeSeconds"}
    return {"CORSRules": [_renamed(rule, **names) for rule in value["CorsRules"]]}


@dataclass(frozen=True)
class _Setting:
    """One setting of a bucket.

    Attributes:
        operation: The operation that sets it, and what it calls the value.
        argument: The operation's name of the value.
        shape: Brings the property to the shape of the API.
        default: What the bucket has where the template says nothing; None is "not set".
        removal: The operation that unsets it, or None where ``default`` is put instead.
    """

    operation: str
    argument: str
    shape: Callable[[Any], dict[str, Any]] = dict
    default: Any = None
    removal: str | None = None


_SETTINGS = {
    "BucketEncryption": _Setting(
        "put_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
        {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
    ),
    "PublicAccessBlockConfiguration": _Setting(
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        default=dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"),
            True,
        ),
    ),
    "OwnershipControls": _Setting(
        "put_bucket_ownership_controls",
        "OwnershipControls",
        default={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    ),
    "VersioningConfiguration": _Setting("put_bucket_versioning", "VersioningConfiguration"),
    "LifecycleConfiguration": _Setting(
        "put_bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        _lifecycle,
        removal="delete_bucket_lifecycle",
    ),
    "LoggingConfiguration": _Setting("put_bucket_logging", "BucketLoggingStatus", _logging),
    "CorsConfiguration": _Setting(
        "put_bucket_cors", "CORSConfiguration", _cors, removal="delete_bucket_cors"
    ),
    "ObjectLockConfiguration": _Setting("put_object_lock_configuration", "ObjectLockConfiguration"),
}
_UNSET = {
    "VersioningConfiguration": {"Status": "Suspended"},
    "LoggingConfiguration": {},
}
"""What turns a setting off that no operation removes."""


@handler("AWS::S3::Bucket")
class Bucket(Configured):
    """A bucket of objects."""

    def make(self, r: Resource) -> Created:
        """Create the bucket in the stack's region."""
        name = r.properties.get("BucketName") or re.sub(
            r"[^a-z0-9.-]", "-", r.generated_name(63).lower()
        )
        options: dict[str, Any] = {}
        if r.region != "us-east-1":  # the one region that must not be named
            options["CreateBucketConfiguration"] = {"LocationConstraint": r.region}
        if r.properties.get("ObjectLockEnabled"):
            options["ObjectLockEnabledForBucket"] = True
        r.client("s3").create_bucket(Bucket=name, **options)
        return Created(
            name,
            {
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "DualStackDomainName": f"{name}.s3.dualstack.{r.region}.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{r.region}.amazonaws.com",
                "WebsiteURL": f"http://{name}.s3-website.{r.region}.amazonaws.com",
            },
        )

    def configure(self, r: Resource) -> None:
        """Set what the template sets, and unset what it sets no more."""
        s3, bucket = r.client("s3"), {"Bucket": r.physical_id}
        for name, setting in _SETTINGS.items():
            value = r.properties.get(name, setting.default)
            before = r.previous.get(name, setting.default if r.previous else None)
            if value == before:
                continue
            if value is not None:
                shaped = setting.shape(value)
            elif setting.removal:
                getattr(s3, setting.removal)(**bucket)
                continue
            else:
                shaped = _UNSET[name]
            getattr(s3, setting.operation)(**bucket, **{setting.argument: shaped})
        acl = r.properties.get("AccessControl", "Private")
        if acl != r.previous.get("AccessControl", "Private"):
            s3.put_bucket_acl(**bucket, ACL=re.sub(r"(?<!^)([A-Z])", r"-\1", acl).lower())
        if tags := r.all_tags():
            s3.put_bucket_tagging(**bucket, Tagging={"TagSet": tags})
        elif r.previous:
            s3.delete_bucket_tagging(**bucket)

    def delete(self, r: Resource) -> None:
        """Delete the bucket; an object in it forbids that."""
        with gone_is_fine():
            r.client("s3").delete_bucket(Bucket=r.physical_id)


@handler("AWS::S3::BucketPolicy")
class BucketPolicy(Handler):
    """What others may do in a bucket."""

    def create(self, r: Resource) -> Created:
        """Put the policy."""
        bucket = r.properties["Bucket"]
        r.client("s3").put_bucket_policy(
            Bucket=bucket, Policy=r.properties.document("PolicyDocument")
        )
        return Created(bucket)

    def update(self, r: Resource) -> Created:
        """Put the changed policy."""
        return self.create(r)

    def delete(self, r: Resource) -> None:
        """Remove the policy."""
        with gone_is_fine():
            r.client("s3").delete_bucket_policy(Bucket=r.properties["Bucket"])


@handler("AWS::ECR::Repository")
class Repository(Configured):
    """A repository of container images."""

    def make(self, r: Resource) -> Created:
        """Create the repository."""
        wanted = r.properties
        encryption = wanted.get("EncryptionConfiguration")
        repository = r.client("ecr").create_repository(
            repositoryName=wanted.get("RepositoryName") or r.generated_name().lower(),
            tags=r.all_tags(),
            **({"encryptionConfiguration": _lowered(encryption)} if encryption else {}),
        )["repository"]
        return Created(
            repository["repositoryName"],
            {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]},
        )

    def configure(self, r: Resource) -> None:
        """Set how images may change, are scanned, expire, and who may pull them."""
        ecr, repository, wanted = r.client("ecr"), {"repositoryName": r.physical_id}, r.properties
        if r.changed("ImageTagMutability", "ImageTagMutabilityExclusionFilters"):
            filters = wanted.get("ImageTagMutabilityExclusionFilters", ())
            options = {"imageTagMutabilityExclusionFilters": [_lowered(f) for f in filters]}
            ecr.put_image_tag_mutability(
                **repository,
                imageTagMutability=wanted.get("ImageTagMutability", "MUTABLE"),
                **(options if filters else {}),
            )
        if r.changed("ImageScanningConfiguration"):
            scanning = wanted.get("ImageScanningConfiguration", {"ScanOnPush": False})
            ecr.put_image_scanning_configuration(
                **repository, imageScanningConfiguration=_lowered(scanning)
            )
        if r.changed("LifecyclePolicy"):
            text = wanted.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
            if text:
                ecr.put_lifecycle_policy(**repository, lifecyclePolicyText=text)
            else:
                ecr.delete_lifecycle_policy(**repository)
        if r.changed("RepositoryPolicyText"):
            if "RepositoryPolicyText" in wanted:
                text = wanted.document("RepositoryPolicyText")
                ecr.set_repository_policy(**repository, policyText=text)
            else:
                ecr.delete_repository_policy(**repository)
        wanted.get("EmptyOnDelete")  # read when the repository is deleted
        if r.previous:
            arn = {"resourceArn": r.attributes["Arn"]}
            if dropped := r.dropped_tags():
                ecr.untag_resource(**arn, tagKeys=dropped)
            if tags := r.all_tags():
                ecr.tag_resource(**arn, tags=tags)

    def delete(self, r: Resource) -> None:
        """Delete the repository; images in it forbid that, unless the template says otherwise."""
        with gone_is_fine():
            r.client("ecr").delete_repository(
                repositoryName=r.physical_id, force=bool(r.properties.get("EmptyOnDelete"))
            )


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    """Name keys as ECR's API does, which begins them in lower case."""
    return {f"{key[0].lower()}{key[1:]}": item for key, item in value.items()}
