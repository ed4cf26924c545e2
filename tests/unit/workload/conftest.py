"""The sample application against real PostgreSQL."""

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# The workload is a program of its own, not part of the package; so are the test servers.
sys.path[:0] = [str(ROOT / "workload"), str(ROOT / "tests")]

import postgres  # noqa: E402
from flask.testing import FlaskClient  # noqa: E402
from rows.config import Config  # noqa: E402
from rows.database import Database  # noqa: E402
from rows.mount import MountWatch  # noqa: E402
from rows.web import create_app  # noqa: E402


@pytest.fixture(scope="session")
def shared_server() -> Iterator[postgres.Server]:
    with postgres.directory() as directory:
        server = postgres.Server.create(directory / "shared")
        server.start()
        yield server
        server.stop("immediate")


@pytest.fixture
def client(shared_server: postgres.Server, tmp_path: Path) -> FlaskClient:
    """A client of the application on a new, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    shared_server.execute(f"CREATE DATABASE {name}")
    return _client(shared_server, name, tmp_path)


@pytest.fixture
def servers() -> Iterator[Path]:
    with postgres.directory() as directory:
        yield directory


@pytest.fixture
def writer(servers: Path) -> Iterator[postgres.Server]:
    """A server that the test may stop."""
    server = postgres.Server.create(servers / "writer")
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def replica(servers: Path, writer: postgres.Server) -> Iterator[postgres.Server]:
    """A server that streams from ``writer``."""
    server = writer.replica(servers / "replica")
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[postgres.Server], FlaskClient]:
    """Connect the application to a server, and give a client of it."""
    return lambda server: _client(server, "postgres", tmp_path)


def _client(server: postgres.Server, name: str, mount: Path) -> FlaskClient:
    config = Config.from_environment(
        {
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(server.port),
            "DATABASE_NAME": name,
            "DATABASE_USER": postgres.USER,
            "MOUNT_PATH": str(mount),
            "AWS_REGION": "eu-west-2",
        }
    )
    app = create_app(Database(config), MountWatch(config.mount_path), region=config.region)
    return app.test_client()
