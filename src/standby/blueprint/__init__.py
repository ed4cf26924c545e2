"""The two-region warm standby application, as AWS CDK stacks."""

from standby import node

node.start()  # before the first import of the CDK, which would start any Node.js of PATH

from standby.blueprint.app import build, synthesize  # noqa: E402

__all__ = ["build", "synthesize"]
