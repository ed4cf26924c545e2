"""What tests of every stage share: the assembly of given settings, synthesized once."""

import functools
from collections.abc import Callable

import pytest
from assemblies import Assembly

from standby.settings import Settings


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
