"""Values as an API's model wants them.

CloudFormation takes numbers and booleans as text where its template reference says "String" (a
POSIX user's id, a database's port), and services take them as what they are.
"""

from collections.abc import Mapping
from typing import Any

from botocore import xform_name
from botocore.model import Shape

from standby.assembly.intrinsics import TemplateError

_INTEGERS = {"integer", "long"}
_FLOATS = {"float", "double"}
_BOOLEANS = {"true": True, "false": False}


def call(client: Any, operation: str, **arguments: Any) -> dict[str, Any]:
    """Call an operation with its arguments brought to the types that its model states.

    Args:
        client: Client of the service.
        operation: The operation as the API reference names it, ``RunInstances``.
        arguments: Its arguments, with scalars as CloudFormation takes them.

    Raises:
        TemplateError: Text that is no value of its type.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    answer: dict[str, Any] = getattr(client, xform_name(operation))(**_fit(shape, arguments))
    return answer


def _fit(shape: Shape, value: Any) -> Any:
    kind = shape.type_name
    if isinstance(value, Mapping):
        members: Mapping[str, Shape] = getattr(shape, "members", {})
        return {k: _fit(members[k], v) if k in members else v for k, v in value.items()}
    if isinstance(value, list) and kind == "list":
        return [_fit(shape.member, item) for item in value]  # type: ignore[attr-defined]
    if isinstance(value, str) and kind in _INTEGERS | _FLOATS | {"boolean"}:
        try:
            if kind == "boolean":
                return _BOOLEANS[value.lower()]
            return int(value) if kind in _INTEGERS else float(value)
        except (KeyError, ValueError):
            raise TemplateError(f"{shape.name}: {value!r} is not of type {kind}") from None
    if kind == "string" and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
