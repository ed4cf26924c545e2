"""The HTTP side: what the load balancer, the runbook and the clients ask."""

from dataclasses import asdict
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.exceptions import Conflict as HttpConflict

from rows import store
from rows.database import Database, ReadOnly, Unreachable
from rows.mount import MountWatch

Answer = tuple[dict[str, Any], int, dict[str, str]]

RETRY_AFTER = 2
"""Seconds; a promotion or a failover of the database ends the condition."""
MAX_BODY = 64 * 1024
MAX_PAGE = 1000


def create_app(database: Database, mount: MountWatch, *, region: str) -> Flask:
    """Build the application.

    Args:
        database: This region's database.
        mount: The watch over the shared files.
        region: Where this instance is.
    """
    app = Flask("rows")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY

    @app.get("/health")
    def health() -> Answer:
        """Say whether this instance can serve; its database is not this instance's fault.

        A health check that failed with the database would have every instance replaced for
        something that a new one would suffer from as well.
        """
        present = mount.present
        body = {"status": "ok" if present else "failing", "mount": present, "region": region}
        return body, 200 if present else 503, {}

    @app.get("/ready")
    def ready() -> Answer:
        """Say what the database is: the runbook waits for ``writes_open``."""
        return asdict(database.state()) | {"region": region}, 200, {}

    @app.post("/rows")
    def write() -> Answer:
        number, payload = _row_of(request.get_json())
        if number is None:
            number = database.run(store.reserve_number)
        row = database.run(lambda connection: store.insert(connection, number, payload, region))
        return _json(row), 201, {"Location": f"/rows/{row.id}"}

    @app.get("/rows")
    def page() -> Answer:
        after, limit = _whole("after", 0), _whole("limit", 100)
        if not 1 <= limit <= MAX_PAGE:
            raise BadRequest(f"limit must be between 1 and {MAX_PAGE}")
        rows = database.run(lambda connection: store.list_after(connection, after, limit=limit))
        return {"rows": [_json(row) for row in rows]}, 200, {}

    @app.get("/rows/<int:number>")
    def read(number: int) -> Answer:
        row = database.run(lambda connection: store.get(connection, number))
        if row is None:
            raise NotFound(f"there is no row {number}")
        return _json(row), 200, {}

    @app.errorhandler(store.Conflict)
    def conflict(error: store.Conflict) -> Answer:
        return _problem(HttpConflict(str(error)))

    @app.errorhandler(ReadOnly)
    def read_only(error: ReadOnly) -> Answer:
        return _unavailable("read-only", error)

    @app.errorhandler(Unreachable)
    def unreachable(error: Unreachable) -> Answer:
        app.logger.warning("%s: %s", error, error.__cause__)
        return _unavailable("database-unreachable", error)

    app.register_error_handler(HTTPException, _problem)
    return app


def _row_of(body: Any) -> tuple[int | None, str]:
    """Take number and payload out of a request's body."""
    match body:
        case {"payload": str(payload), **rest} if not set(rest) - {"id"}:
            number = rest.get("id")
        case _:
            raise BadRequest('the body must be {"payload": text}, with an optional "id": number')
    if "\x00" in payload:
        raise BadRequest("payload contains the character NUL, which PostgreSQL cannot store")
    if number is not None and (type(number) is not int or not 0 < number < store.FIRST_OWN_NUMBER):
        raise BadRequest(f"id must be a whole number between 1 and {store.FIRST_OWN_NUMBER - 1}")
    return number, payload


def _whole(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(f"{name} must be a whole number")
    return int(text)


def _json(row: store.Row) -> dict[str, Any]:
    return asdict(row) | {"written_at": row.written_at.isoformat()}


def _problem(error: HTTPException) -> Answer:
    return {"error": error.name.lower(), "detail": error.description}, error.code or 500, {}


def _unavailable(what: str, error: Exception) -> Answer:
    body = {"error": what, "detail": f"{error}; try again in {RETRY_AFTER} seconds"}
    return body, 503, {"Retry-After": str(RETRY_AFTER)}
