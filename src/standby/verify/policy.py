"""Reading of IAM policy documents, as the services' APIs return them."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """Give a policy's statements; APIs return the document as JSON text or decoded."""
    policy = json.loads(document) if isinstance(document, str) else document
    return listed(policy["Statement"])


def listed(value: Any) -> list[Any]:
    """Give a list for an element that policies may write as one value or as several."""
    return value if isinstance(value, list) else [value]


def is_of_anyone(statement: Statement) -> bool:
    """Tell whether a statement speaks of anyone at all, or of all but some."""
    principal = statement.get("Principal", {})
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal
    return "NotPrincipal" in statement or "*" in listed(named)


def is_open(statement: Statement) -> bool:
    """Tell whether a statement allows anyone at all, under no condition."""
    allows = statement["Effect"] == "Allow" and not statement.get("Condition")
    return allows and is_of_anyone(statement)


def denies_plaintext(statement: Statement) -> bool:
    """Tell whether a statement denies everyone what does not come over TLS."""
    secure = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    denies = statement["Effect"] == "Deny" and "NotPrincipal" not in statement
    return denies and is_of_anyone(statement) and str(secure).lower() == "false"


def allows_service(policy: Iterable[Statement], service: str, action: str) -> bool:
    """Tell whether some statement allows an action to a service's principal."""
    return any(
        statement["Effect"] == "Allow"
        and isinstance(statement.get("Principal"), Mapping)
        and service in listed(statement["Principal"].get("Service", []))
        and any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        for statement in policy
    )
