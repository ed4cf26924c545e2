"""The two-region warm standby application, as AWS CDK stacks."""

from standby.blueprint.app import build, synthesize

__all__ = ["build", "synthesize"]
