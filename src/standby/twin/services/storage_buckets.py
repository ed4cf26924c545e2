"""Storage: buckets whose policies moto misreads.

moto takes a denial whose condition is not met for a denial, so that a policy which denies only
plain HTTP (as the CDK's bootstrap writes it) denies everything. The twin does not evaluate
conditions; a statement that has one decides nothing here.

Source: IAM user guide, "Policy evaluation logic": a statement applies when its conditions are met.
"""

import json

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def _permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
    """Judge an access to a bucket by the statements of its policy that are unconditional."""
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(bucket.policy)
    statements = policy["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    plain = [statement for statement in listed if not statement.get("Condition")]
    return IAMPolicy(json.dumps(policy | {"Statement": plain})).is_action_permitted(
        action, resource
    )


FakeBucket.get_permission = _permission
