"""What tests of every stage share: the assembly of given settings, synthesized once."""

import functools
from collections.abc import Callable

import pytest
from assemblies import Assembly
from hypothesis import HealthCheck, settings

from standby.settings import Settings

# Every run tries the same examples, so that a red one is red again; a busy machine is no failure.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Settings], Assembly]:
    """Synthesize settings; equal ones once in a session."""
    from standby.blueprint import synthesize

    @functools.cache
    def templates(settings: Settings) -> Assembly:
        directory = tmp_path_factory.mktemp("assembly")
        synthesize(settings, outdir=directory)
        return Assembly(directory)

    return templates
