"""The model of every choice a user can make, and what it refuses."""

import difflib
import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

MIN_PREFIX, MAX_PREFIX = 16, 28
"""An Amazon VPC's block is a /16 to a /28 (VPC user guide, "VPC CIDR blocks")."""
SUBNET_TIERS = 3
SMALLEST_SUBNET = 26
"""An ALB wants a /27 with 8 free addresses per subnet; a /26 leaves room for the instances too."""
MAX_LOAD_BALANCER_NAME = 32
MAX_IDENTIFIER = 63
LONGEST_OBJECTIVE = timedelta(days=365)
LOWEST_PORT = 1024
"""Ports below belong to the system."""
_ARM = re.compile(r"a1\.|[a-z]+\d+g")
"""Instance types with Graviton processors (EC2 user guide, "Instance type naming conventions")."""


class RemovalPolicy(StrEnum):
    """What becomes of the data when its stack is deleted."""

    DESTROY = "destroy"
    SNAPSHOT = "snapshot"
    RETAIN = "retain"


_SECONDS = {"h": 3600, "m": 60, "s": 1}


def _duration(value: object) -> object:
    """Read ``90s``, ``15m``, ``1h`` or a number of seconds; leave what is no text to pydantic."""
    if not isinstance(value, str | bool):
        return value
    match = re.fullmatch(r"(\d{1,9})\s*([smh]?)", str(value).strip())
    if not match:
        raise ValueError("write seconds, minutes or hours, as in 90s, 15m or 1h")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2] or "s"])


def _number(value: object) -> object:
    """Read a number written as text, which a choice between numbers does not do by itself."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value


def _duration_text(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    return next(f"{seconds // n}{unit}" for unit, n in _SECONDS.items() if seconds % n == 0)


def _cidr(value: object) -> IPv4Network:
    """Read an address block; an address within one is told the block that it is in."""
    try:
        given = IPv4Interface(str(value))
    except ValueError:
        raise ValueError("not an address block; write one like 10.0.0.0/16") from None
    if given.ip != given.network.network_address:
        raise ValueError(f"an address within a block; did you mean {given.network}?")
    return given.network


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_duration_text)]
Cidr = Annotated[IPv4Network, BeforeValidator(_cidr), PlainSerializer(str)]


def context_key(field: str) -> str:
    """Give the context key of a field: ``workload_path`` is written ``workload.path``."""
    if field == "workload_path":
        return "workload.path"
    head, *rest = field.split("_")
    return head + "".join(word.capitalize() for word in rest)


class Settings(BaseModel):
    """A validated configuration; two equal ones synthesize to equal bytes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=context_key, validate_by_name=True
    )

    environment_suffix: str = Field("dev", description="Ends every stack and physical name")
    preset: Literal["dev", "prod"] = Field(
        "dev", description="Defaults for a kind of environment (dev, prod)"
    )
    primary_region: str = Field("eu-west-2", description="Region that serves in normal operation")
    standby_region: str = Field("eu-west-3", description="Region that takes over")
    primary_cidr: Cidr = Field(
        IPv4Network("10.0.0.0/16"), description="Address block of the primary VPC"
    )
    standby_cidr: Cidr = Field(
        IPv4Network("10.1.0.0/16"), description="Address block of the standby VPC"
    )
    az_count: int = Field(2, ge=2, le=3, description="Availability Zones per region (2 or 3)")
    nat_gateways: int = Field(1, ge=1, le=3, description="NAT gateways per region")
    domain_name: str | None = Field(
        None, description="Domain of the application; without one, no DNS failover"
    )
    hosted_zone_id: str | None = Field(
        None, description="Existing public hosted zone of the domain; without one, it is created"
    )
    record_name: str = Field("app", description="Host name of the application within the domain")
    instance_type: str = Field("t3.small", description="EC2 instance type (x86_64)")
    min_capacity: int = Field(2, ge=2, description="Fewest instances in the primary region")
    max_capacity: int = Field(6, ge=2, description="Most instances in either region")
    standby_min_capacity: int = Field(
        2, ge=2, description="Fewest instances in the standby region; must serve without scaling"
    )
    database_instance_class: str = Field(
        "db.t4g.medium", description="RDS instance class in both regions"
    )
    database_storage_gib: int = Field(20, ge=20, le=65536, description="Allocated storage in GiB")
    database_max_storage_gib: int = Field(
        200, ge=22, le=65536, description="Limit of storage autoscaling in GiB"
    )
    database_name: str = Field("app", description="Name of the application's database")
    backup_retention_days: int = Field(7, ge=1, le=35, description="Days of automated backups")
    removal_policy: RemovalPolicy = Field(
        RemovalPolicy.DESTROY,
        description="What becomes of data when its stack is deleted (destroy, snapshot, retain)",
    )
    deletion_protection: bool = Field(
        False, description="Refuse deletion of database and load balancer"
    )
    access_logs: bool = Field(False, description="Keep the load balancers' access logs in S3")
    health_check_interval: Annotated[Literal[10, 30], BeforeValidator(_number)] = Field(
        10, description="Seconds between Route 53 health checks (10 or 30)"
    )
    health_check_failures: int = Field(
        3, ge=1, le=10, description="Failed checks in a row that make an endpoint unhealthy"
    )
    rto: Duration = Field(
        timedelta(minutes=15), description="Recovery time objective (90s, 15m, 1h)"
    )
    rpo: Duration = Field(timedelta(minutes=5), description="Recovery point objective")
    alarm_email: str | None = Field(None, description="Address that alarms are sent to")
    workload_path: Path = Field(
        Path("workload"), description="Directory of the application that instances run"
    )
    repository: str = Field("unknown", description="Tag Repository (also read from REPOSITORY)")
    author: str = Field("unknown", description="Tag Author (also read from COMMIT_AUTHOR)")
    twin_port: int = Field(
        4566, ge=0, le=65535, description="Port of the twin on 127.0.0.1; 0 takes a free one"
    )

    @property
    def stack_name(self) -> str:
        """Name of the root stack and prefix of every other one."""
        return f"TapStack{self.environment_suffix}"

    @property
    def application_name(self) -> str | None:
        """Fully qualified name that clients use, or None without a domain."""
        return f"{self.record_name}.{self.domain_name}" if self.domain_name else None

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, bool) and field.annotation is int:
            raise ValueError("write a number")  # to Python, true is 1
        return value

    @model_validator(mode="after")
    def _regions(self) -> Self:
        known = known_regions()
        for key, region in (
            ("primaryRegion", self.primary_region),
            ("standbyRegion", self.standby_region),
        ):
            if region not in known:
                raise ValueError(f"{key} {region!r} is not an AWS region{nearest(region, known)}")
        if self.primary_region == self.standby_region:
            raise ValueError(
                f"primaryRegion and standbyRegion are both {self.primary_region!r}; "
                "a standby in the same region is lost with it"
            )
        return self

    @model_validator(mode="after")
    def _networks(self) -> Self:
        for key, cidr in (("primaryCidr", self.primary_cidr), ("standbyCidr", self.standby_cidr)):
            if not MIN_PREFIX <= cidr.prefixlen <= MAX_PREFIX:
                raise ValueError(
                    f"{key} {cidr} must be between /{MIN_PREFIX} and /{MAX_PREFIX}, "
                    "the sizes of a VPC"
                )
            if (smallest := subnet_prefix(cidr, self.az_count)) > SMALLEST_SUBNET:
                raise ValueError(
                    f"{key} {cidr} is too small: {SUBNET_TIERS} tiers in {self.az_count} zones "
                    f"leave subnets of /{smallest}, and each needs a /{SMALLEST_SUBNET}; "
                    f"choose a /{cidr.prefixlen - smallest + SMALLEST_SUBNET} or larger"
                )
        if self.primary_cidr.overlaps(self.standby_cidr):
            raise ValueError(
                f"primaryCidr {self.primary_cidr} and standbyCidr {self.standby_cidr} overlap; "
                "peered VPCs need distinct blocks"
            )
        return self

    @model_validator(mode="after")
    def _names(self) -> Self:
        suffix = self.environment_suffix
        if not re.fullmatch(r"[a-z]([a-z0-9]|-(?=[a-z0-9]))*", suffix):
            raise ValueError(
                f"environmentSuffix {suffix!r} must be lower-case letters, digits and single "
                "hyphens, starting with a letter (RDS identifiers allow no more)"
            )
        for name, limit in (
            *(
                (f"alb-{region}-{suffix}", MAX_LOAD_BALANCER_NAME)
                for region in (self.primary_region, self.standby_region)
            ),
            (f"db-primary-{suffix}", MAX_IDENTIFIER),
        ):
            if len(name) > limit:
                raise ValueError(
                    f"environmentSuffix {suffix!r} makes the name {name!r} {len(name)} characters "
                    f"long; AWS allows {limit}: shorten it by {len(name) - limit}"
                )
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", self.database_name):
            raise ValueError(
                f"databaseName {self.database_name!r} must be lower-case letters, digits and "
                "underscores, starting with a letter, 63 at most"
            )
        return self

    @model_validator(mode="after")
    def _domain(self) -> Self:
        label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
        if self.domain_name is not None and not re.fullmatch(
            rf"(?=.{{1,255}}$){label}(\.{label})+", self.domain_name
        ):
            raise ValueError(f"domainName {self.domain_name!r} is not a lower-case domain name")
        if not re.fullmatch(label, self.record_name):
            raise ValueError(f"recordName {self.record_name!r} is not a host name")
        if self.hosted_zone_id is not None:
            if self.domain_name is None:
                raise ValueError("hostedZoneId is set but domainName is not; give both")
            if not re.fullmatch(r"Z[A-Z0-9]{1,31}", self.hosted_zone_id):
                raise ValueError(
                    f"hostedZoneId {self.hosted_zone_id!r} is not a hosted zone's id (Z...)"
                )
        return self

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        for key, low in (
            ("minCapacity", self.min_capacity),
            ("standbyMinCapacity", self.standby_min_capacity),
        ):
            if low > self.max_capacity:
                raise ValueError(f"{key} {low} is above maxCapacity {self.max_capacity}")
        if self.database_max_storage_gib < self.database_storage_gib * 1.1:
            raise ValueError(
                f"databaseMaxStorageGib {self.database_max_storage_gib} must be at least 10% above "
                f"databaseStorageGib {self.database_storage_gib}, or autoscaling never acts"
            )
        if self.nat_gateways > self.az_count:
            raise ValueError(f"natGateways {self.nat_gateways} is above azCount {self.az_count}")
        if 0 < self.twin_port < LOWEST_PORT:
            raise ValueError(
                f"twinPort {self.twin_port} is reserved; take one from {LOWEST_PORT}, or 0 for any"
            )
        if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", self.instance_type):
            raise ValueError(f"instanceType {self.instance_type!r} is not an instance type")
        if _ARM.match(self.instance_type):
            raise ValueError(
                f"instanceType {self.instance_type!r} has ARM processors, and the instances' image "
                "is for x86_64: choose a type without a g after its generation (m7i.large)"
            )
        if not re.fullmatch(r"db\.[a-z][a-z0-9-]*\.[a-z0-9-]+", self.database_instance_class):
            raise ValueError(
                f"databaseInstanceClass {self.database_instance_class!r} is not a class of RDS "
                "(db.t4g.medium)"
            )
        return self

    @model_validator(mode="after")
    def _objectives(self) -> Self:
        if self.preset == "prod" and self.backup_retention_days < 7:
            raise ValueError(
                f"backupRetentionDays {self.backup_retention_days} is below the 7 that the prod "
                "preset demands"
            )
        for key, value in (("rto", self.rto), ("rpo", self.rpo)):
            if value < timedelta(seconds=1) or value % timedelta(seconds=1):
                raise ValueError(f"{key} must be whole seconds, at least one")
            if value > LONGEST_OBJECTIVE:
                raise ValueError(f"{key} of more than {LONGEST_OBJECTIVE.days} days is none")
        if self.alarm_email is not None and not re.fullmatch(
            r"[^@\s]+@[^@\s]+\.[^@\s]+", self.alarm_email
        ):
            raise ValueError(f"alarmEmail {self.alarm_email!r} is not an e-mail address")
        return self


def subnet_prefix(cidr: IPv4Network, az_count: int) -> int:
    """Give the prefix length of each subnet when ``cidr`` is split into equal tiers and zones."""
    return cidr.prefixlen + (SUBNET_TIERS * az_count - 1).bit_length()


@functools.cache
def known_regions() -> frozenset[str]:
    """Name the regions of the commercial partition, as botocore's partition table lists them."""
    table = importlib.resources.files("botocore").joinpath("data/partitions.json").read_text()
    aws = next(p for p in json.loads(table)["partitions"] if p["id"] == "aws")
    return frozenset(aws["regions"]) - {"aws-global"}


KEYS: Mapping[str, str] = {context_key(field): field for field in Settings.model_fields}
"""The context key of every setting, and the model's field of that name."""


def nearest(word: str, known: Mapping[str, Any] | frozenset[str]) -> str:
    """Suggest the nearest known word, as the end of a message."""
    folded = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), folded, n=1)
    return f"; did you mean {folded[match[0]]!r}?" if match else ""
