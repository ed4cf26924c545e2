"""Multi-region warm standby on AWS, proven before you need it."""

__version__ = "0.1.0"
