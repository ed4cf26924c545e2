"""Every choice a user can make, in one frozen model, and where each value came from.

A setting has one name, the CDK context key (``environmentSuffix``, ``workload.path``), and the
same name in every layer: ``--environment-suffix`` > ``STANDBY_ENVIRONMENT_SUFFIX`` >
``-c environmentSuffix=`` > ``standby.toml`` > the preset's value > the default.
"""

from standby.settings.layers import CONFIG_FILE, PRESETS, Resolved, resolve
from standby.settings.model import KEYS, RemovalPolicy, Settings, known_regions, subnet_prefix

__all__ = [
    "CONFIG_FILE",
    "KEYS",
    "PRESETS",
    "RemovalPolicy",
    "Resolved",
    "Settings",
    "known_regions",
    "resolve",
    "subnet_prefix",
]
