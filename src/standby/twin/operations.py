"""The API operations that the twin answers itself, where moto has none or answers too little.

An operation is a function of a `Call`, registered under the service's and the operation's
name as botocore spells them. Requests are parsed and answers serialized from botocore's own
service model, so a function here sees and returns plain dicts in the API reference's terms.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from moto.core.exceptions import ServiceException

if TYPE_CHECKING:
    from standby.twin.twin import Twin

S = TypeVar("S")


class ServiceError(ServiceException):  # type: ignore[misc]
    """An error answer of an AWS API: its code and message, as the API reference names them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


@dataclass(frozen=True)
class Call:
    """One request to an operation of the twin.

    Attributes:
        twin: The twin that was called.
        region: Region whose endpoint the client meant, from the signature.
        account: Account of the caller.
        params: The request's parameters, parsed by the service model.
        moto: Answers with what moto alone would say; raises `ServiceError` as it would.
    """

    twin: "Twin"
    region: str
    account: str
    params: Mapping[str, Any]
    moto: Callable[[], dict[str, Any]]

    def store(self, kind: type[S]) -> S:
        """Give the regional state of one kind, made on first use."""
        return self.twin.store(kind, self.region)


Operation = Callable[[Call], Mapping[str, Any] | None]

_OPERATIONS: dict[tuple[str, str], Operation] = {}


def operation(service: str, name: str) -> Callable[[Operation], Operation]:
    """Register a function as the twin's answer to ``service``'s operation ``name``."""

    def register(function: Operation) -> Operation:
        if (service, name) in _OPERATIONS:
            raise ValueError(f"{service}:{name} is answered twice")
        _OPERATIONS[service, name] = function
        return function

    return register


@functools.cache
def registered() -> Mapping[tuple[str, str], Operation]:
    """Load every module of operations, then give them all by service and name."""
    import standby.twin.cloudformation.api
    import standby.twin.cloudformation.change_sets
    import standby.twin.cloudformation.descriptions
    import standby.twin.services

    standby.twin.services.load()
    return _OPERATIONS
