"""The two-region warm standby application, as AWS CDK stacks."""

from standby.blueprint.app import synthesize

__all__ = ["synthesize"]
