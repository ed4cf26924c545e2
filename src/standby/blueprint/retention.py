"""What outlives its stack: how the removal policy and log retention apply to resources."""

from aws_cdk import RemovalPolicy as CdkRemovalPolicy
from aws_cdk import aws_logs as logs

from standby.settings import RemovalPolicy, Settings

LOG_RETENTION = logs.RetentionDays.THREE_MONTHS
"""Long enough to look back over an incident and its review, short enough not to hoard."""


def removal_policy(settings: Settings) -> CdkRemovalPolicy:
    """Give the policy of a resource that cannot leave a snapshot behind.

    Where data must survive as a snapshot, its key must survive too, and a file system, which
    has no snapshots, must stay as it is; so everything but ``destroy`` retains. A resource whose
    creation failed is never retained: it holds no data, and its name would block the next try.
    """
    if settings.removal_policy is RemovalPolicy.DESTROY:
        return CdkRemovalPolicy.DESTROY
    return CdkRemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE


def snapshot_policy(settings: Settings) -> CdkRemovalPolicy:
    """Give the policy of a resource that CloudFormation can snapshot before it deletes it."""
    if settings.removal_policy is RemovalPolicy.SNAPSHOT:
        return CdkRemovalPolicy.SNAPSHOT
    return removal_policy(settings)
