"""One handler per CloudFormation resource type, in the terms of that service's own API.

To add one, write in the pillar's module::

    @handler("AWS::SNS::Topic")
    class Topic(Handler):
        def create(self, r: Resource) -> Created: ...
        def delete(self, r: Resource) -> None: ...

A handler creates the resource through the service's API (``r.client("sns")``), so what it
made can be described there. It must read every property it is given (``r.properties``): one
that it leaves unread stops the deployment, so nothing is dropped in silence.
"""

import importlib
import json
import pkgutil
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from standby.assembly.intrinsics import TemplateError

if TYPE_CHECKING:
    from standby.twin.twin import Twin


class Properties(Mapping[str, Any]):
    """A resource's properties that remember which of them were read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self._read.add(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def unread(self) -> frozenset[str]:
        """Name the properties that nobody asked for."""
        return frozenset(self._values) - self._read

    def pick(self, *keys: str) -> dict[str, Any]:
        """Give those of ``keys`` that are set, as keyword arguments for an API call."""
        return {key: self[key] for key in keys if key in self._values}

    def document(self, key: str) -> str:
        """Give a policy, written as an object or as text, as the JSON text that APIs take."""
        value = self[key]
        return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Created:
    """What a handler made: the value of ``Ref``, and those of ``Fn::GetAtt``."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resource:
    """One resource of a stack, as its handler sees it.

    Attributes:
        properties: The evaluated properties wanted now.
        previous: The properties before an update, else empty.
        physical_id: What ``create`` returned; empty before it.
        attributes: What ``create`` or the last ``update`` returned.
        tags: The stack's tags, for every resource that takes tags.
        previous_tags: Those before an update, else none.
        policies: CreationPolicy, UpdatePolicy and the like, evaluated.
    """

    twin: "Twin"
    region: str
    account: str
    stack_name: str
    stack_id: str
    logical_id: str
    properties: Properties
    previous: Mapping[str, Any] = field(default_factory=dict)
    physical_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[Mapping[str, str], ...] = ()
    previous_tags: tuple[Mapping[str, str], ...] = ()
    policies: Mapping[str, Any] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        """Give a boto3 client of the twin for the resource's region, or another's."""
        return self.twin.client(service, region or self.region)

    def generated_name(self, limit: int = 64) -> str:
        """Make a name as CloudFormation does: stack, logical id and a random end."""
        end = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))
        return f"{self.stack_name}-{self.logical_id}"[: limit - 13] + f"-{end}"

    def changed(self, *keys: str) -> bool:
        """Say whether any of these properties differs from before; at creation, is set at all."""
        return any(self.properties.get(key) != self.previous.get(key) for key in keys)

    def all_tags(self, key: str = "Tags") -> list[dict[str, str]]:
        """Merge the template's tags over the stack's, as CloudFormation propagates them."""
        return _merged(self.tags, self.properties.get(key))

    def dropped_tags(self, key: str = "Tags") -> list[str]:
        """Name the tags that template and stack gave before an update and give no more."""
        kept = {tag["Key"] for tag in self.all_tags(key)}
        before = _merged(self.previous_tags, self.previous.get(key))
        return [tag["Key"] for tag in before if tag["Key"] not in kept]


def _merged(inherited: Iterable[Mapping[str, str]], own: Any) -> list[dict[str, str]]:
    if isinstance(own, Mapping):
        own = [{"Key": name, "Value": value} for name, value in own.items()]
    merged = {tag["Key"]: tag["Value"] for tag in (*inherited, *(own or ()))}
    return [{"Key": name, "Value": value} for name, value in merged.items()]


class Handler:
    """Creates, updates and deletes one resource type."""

    def create(self, r: Resource) -> Created:
        """Create the resource and wait until it can be used."""
        raise TemplateError(f"{type(self).__name__} cannot be created in the twin")

    def update(self, r: Resource) -> Created:
        """Make an existing resource equal to its new properties."""
        raise TemplateError(f"{type(self).__name__} cannot be updated in the twin")

    def delete(self, r: Resource) -> None:
        """Delete the resource; one that is gone already is no error."""
        raise TemplateError(f"{type(self).__name__} cannot be deleted in the twin")


class Configured(Handler):
    """A resource that one call makes, and whose settings are then brought to what is wanted.

    ``configure`` serves creation and update alike: it compares ``r.properties`` with
    ``r.previous``, which is empty at creation. When it fails at creation, what was made is
    deleted again, so that a rolled-back stack leaves nothing behind.
    """

    def make(self, r: Resource) -> Created:
        """Create the resource."""
        raise TemplateError(f"{type(self).__name__} cannot be created in the twin")

    def configure(self, r: Resource) -> None:
        """Bring the settings of the existing resource ``r.physical_id`` to what is wanted."""

    def create(self, r: Resource) -> Created:
        """Make the resource and configure it."""
        made = self.make(r)
        existing = replace(r, physical_id=made.physical_id, attributes=made.attributes)
        try:
            self.configure(existing)
        except Exception:
            self.delete(existing)
            raise
        return made

    def update(self, r: Resource) -> Created:
        """Configure the resource anew."""
        self.configure(r)
        return Created(r.physical_id, r.attributes)


@contextmanager
def gone_is_fine(*codes: str) -> Iterator[None]:
    """Let a deletion pass when there is nothing to delete any more.

    Args:
        codes: Error codes that mean so, beyond the services' usual ``...NotFound`` and
            ``NoSuch...``.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in codes and "NotFound" not in code and not code.startswith("NoSuch"):
            raise


_HANDLERS: dict[str, Handler] = {}


def handler(type_name: str) -> Callable[[type[Handler]], type[Handler]]:
    """Register a class as the handler of a CloudFormation resource type."""

    def register(cls: type[Handler]) -> type[Handler]:
        if type_name in _HANDLERS:
            raise ValueError(f"{type_name} is handled twice")
        _HANDLERS[type_name] = cls()
        return cls

    return register


@cache
def _load() -> Mapping[str, Handler]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _HANDLERS


def handler_for(type_name: str) -> Handler:
    """Give the handler of a resource type.

    Raises:
        TemplateError: The twin has none; a silent stub would be a lie.
    """
    handlers = _load()
    if type_name not in handlers:
        raise TemplateError(f"the twin has no handler for resource type {type_name!r}")
    return handlers[type_name]
