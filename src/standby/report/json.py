"""Results as JSON, for programs: one document per command, with the version of its schema.

Fields are only ever added within a version; a change of meaning is a new version.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from standby.verify import Observation

VERIFY_SCHEMA = "standby.verify/1"


def observations(seen: Sequence[Observation]) -> str:
    """Give what `standby verify` saw as a JSON document."""
    failed = sum(not each.ok for each in seen)
    return _document(
        VERIFY_SCHEMA,
        ok=failed == 0,
        passed=len(seen) - failed,
        failed=failed,
        observations=[asdict(each) | {"seconds": round(each.seconds, 3)} for each in seen],
    )


def _document(schema: str, **content: Any) -> str:
    return json.dumps({"schema": schema, **content}, indent=2, ensure_ascii=False) + "\n"
