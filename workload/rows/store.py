"""The rows themselves: numbered, checksummed, and safe to write twice."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import class_row

Result = TypeVar("Result")

FIRST_OWN_NUMBER = 10**9
"""Rows that come without a number get one from here on; clients number theirs below."""
SCHEMA = f"""
    SELECT pg_advisory_xact_lock(7301974);
    CREATE SEQUENCE IF NOT EXISTS row_numbers START {FIRST_OWN_NUMBER};
    CREATE TABLE IF NOT EXISTS rows (
        id bigint PRIMARY KEY,
        payload text NOT NULL,
        checksum text NOT NULL,
        region text NOT NULL,
        written_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
"""


class Conflict(Exception):  # noqa: N818 - the client's to resolve
    """Another row has this number."""


@dataclass(frozen=True)
class Row:
    """One row, as it was acknowledged.

    Attributes:
        id: Its number.
        payload: What the client wrote.
        checksum: SHA-256 of the payload, in hexadecimal.
        region: The region whose instance wrote it.
        written_at: When.
    """

    id: int
    payload: str
    checksum: str
    region: str
    written_at: datetime


def reserve_number(connection: psycopg.Connection) -> int:
    """Take the next number, for a row that comes without one.

    It is taken before the row is written, so that the write can be repeated safely.
    """
    return _with_schema(
        connection, lambda: connection.execute("SELECT nextval('row_numbers')").fetchone()[0]
    )


def insert(connection: psycopg.Connection, number: int, payload: str, region: str) -> Row:
    """Write a row, or find it written already.

    Raises:
        Conflict: The number belongs to a row with another payload.
    """
    checksum = hashlib.sha256(payload.encode()).hexdigest()
    _with_schema(
        connection,
        lambda: connection.execute(
            "INSERT INTO rows (id, payload, checksum, region) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO NOTHING",
            (number, payload, checksum, region),
        ),
    )
    row = get(connection, number)
    if row is None or row.checksum != checksum:
        raise Conflict(f"row {number} exists with another payload")
    return row


def get(connection: psycopg.Connection, number: int) -> Row | None:
    """Read one row."""
    rows = _select(
        connection,
        "SELECT id, payload, checksum, region, written_at FROM rows WHERE id = %s",
        (number,),
    )
    return rows[0] if rows else None


def list_after(connection: psycopg.Connection, number: int, *, limit: int) -> list[Row]:
    """Read up to ``limit`` rows, in the order of their numbers, from behind ``number`` on."""
    return _select(
        connection,
        "SELECT id, payload, checksum, region, written_at FROM rows"
        " WHERE id > %s ORDER BY id LIMIT %s",
        (number, limit),
    )


def _select(
    connection: psycopg.Connection, query: LiteralString, values: tuple[int, ...]
) -> list[Row]:
    try:
        with connection.transaction(), connection.cursor(row_factory=class_row(Row)) as cursor:
            return cursor.execute(query, values).fetchall()
    except errors.UndefinedTable:
        return []  # nothing has been written yet


def _with_schema(connection: psycopg.Connection, action: Callable[[], Result]) -> Result:
    """Do something that needs the table, and make the table if it turns out to be missing."""
    try:
        with connection.transaction():
            return action()
    except errors.UndefinedTable:
        connection.execute(SCHEMA)
        return action()
