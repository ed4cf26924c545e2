"""The presets and options that change what is synthesized."""

from collections.abc import Callable

import pytest
from assemblies import Assembly

from standby.settings import resolve

VARIANTS = {
    "dev": {},
    "prod": {"preset": "prod"},
    "dev, new zone": {"domainName": "example.org"},
    "prod, own zone": {
        "preset": "prod",
        "domainName": "example.org",
        "hostedZoneId": "Z0123456789ABC",
    },
}


@pytest.fixture(scope="session", params=VARIANTS.values(), ids=VARIANTS)
def variant(request: pytest.FixtureRequest, assembly: Callable[..., Assembly]) -> Assembly:
    """Every variant in turn."""
    return assembly(resolve(flags=request.param, environ={}).settings)


@pytest.fixture(scope="session", params=["dev, new zone", "prod, own zone"])
def named(request: pytest.FixtureRequest, assembly: Callable[..., Assembly]) -> Assembly:
    """Every variant with a domain in turn."""
    return assembly(resolve(flags=VARIANTS[request.param], environ={}).settings)


@pytest.fixture(scope="session")
def every_variant(assembly: Callable[..., Assembly]) -> list[Assembly]:
    """All variants at once, for tools that are slow to start."""
    return [assembly(resolve(flags=flags, environ={}).settings) for flags in VARIANTS.values()]


@pytest.fixture(scope="session")
def dev(assembly: Callable[..., Assembly]) -> Assembly:
    return assembly(resolve(environ={}).settings)


@pytest.fixture(scope="session")
def prod(assembly: Callable[..., Assembly]) -> Assembly:
    return assembly(resolve(flags={"preset": "prod"}, environ={}).settings)
