"""The way to PostgreSQL: survives its restarts, its moves and its promotion."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo

from rows.config import Config, CredentialsUnavailable

Result = TypeVar("Result")
Work = Callable[[psycopg.Connection], Result]

MAX_CONNECTIONS = 8
"""Per instance; the database is sized for 10 of each. Fewer than the server has threads, so that
/health is answered while every connection is stuck."""
MAX_WAIT = 1.0
"""Seconds to wait for a connection that another request holds."""
MAX_EFFORT = 5.0
"""Seconds after which a request is not tried once more."""


class ReadOnly(Exception):  # noqa: N818 - a state of the database, not a fault
    """The database takes no writes: it is a replica, or has not been opened yet."""


class Unreachable(Exception):  # noqa: N818 - a state of the database, not a fault
    """No connection to the database works."""


@dataclass(frozen=True)
class State:
    """What the database is at the moment.

    Attributes:
        role: Whether it is the writer or follows one.
        lag_seconds: How far it is behind; 0 for a writer, None for a replica that never heard
            from its writer.
        writes_open: Whether a write would be accepted.
    """

    role: Literal["primary", "replica"]
    lag_seconds: float | None
    writes_open: bool


class Database:
    """Connections that are kept for reuse, and a way to do work that outlives any one of them.

    A connection is not checked before its use: work is repeated if it turns out to be dead, and
    then the others that lie idle are dead as well, most likely, and are forgotten. So a request
    learns at once that the database is gone, and the first one after its return succeeds.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._idle: list[psycopg.Connection] = []
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def close(self) -> None:
        """Close the connections that lie idle."""
        while self._idle:
            self._idle.pop().close()

    def run(self, work: Work[Result]) -> Result:
        """Do ``work`` in one transaction, again on a new connection if the old one is lost.

        Args:
            work: Takes a connection. It may run more than once, and a lost commit may have
                happened, so twice must be as good as once.

        Raises:
            ReadOnly: It wanted to write, and the database does not.
            Unreachable: Every attempt failed.
        """
        if not self._slots.acquire(timeout=MAX_WAIT):
            raise Unreachable("every connection to the database is busy")
        try:
            return self._persist(work)
        except errors.ReadOnlySqlTransaction as error:
            raise ReadOnly("the database is read-only") from error
        except (psycopg.OperationalError, psycopg.InterfaceError, CredentialsUnavailable) as error:
            raise Unreachable("the database cannot be reached") from error
        finally:
            self._slots.release()

    def _persist(self, work: Work[Result]) -> Result:
        deadline = time.monotonic() + MAX_EFFORT
        for pause in (0.1, 0.4):
            try:
                with self._connection() as connection:
                    return work(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
        with self._connection() as connection:
            return work(connection)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        """Lend a connection; take it back if it still works."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = psycopg.connect(self._conninfo())
        try:
            with connection.transaction():
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError):
            connection.close()
            self.close()
            raise
        finally:
            if not connection.closed:
                self._idle.append(connection)

    def state(self) -> State:
        """Ask the database what it is.

        Raises:
            Unreachable: It does not answer.
        """
        return self.run(_state)

    def _conninfo(self) -> str:
        config, credentials = self._config, self._config.credentials()
        tls = (
            {"sslmode": "verify-full", "sslrootcert": str(config.database_ca)}
            if config.database_ca
            else {"sslmode": "prefer"}
        )
        return make_conninfo(
            host=config.database_host,
            port=config.database_port,
            dbname=config.database_name,
            user=credentials.user,
            password=credentials.password,
            application_name="rows",
            connect_timeout=3,
            # A region that is gone sends no goodbye; without these a connection to it would
            # look alive for minutes.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=5000,
            options="-c statement_timeout=5s",
            **tls,
        )


def _state(connection: psycopg.Connection) -> State:
    # Between two transactions of an idle writer the age of the last one grows; a replica that
    # has replayed all it received from a live connection is not behind.
    replica, read_only, lag = connection.execute(
        """
        SELECT
            pg_is_in_recovery(),
            current_setting('transaction_read_only') = 'on',
            CASE
                WHEN NOT pg_is_in_recovery() THEN 0
                WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                    AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
                ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float
            END
        """
    ).fetchone()
    return State("replica" if replica else "primary", lag, not replica and not read_only)
