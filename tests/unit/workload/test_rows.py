"""Rows over HTTP, on a writer, on a replica, and through the change from one to the other."""

import hashlib
import time
from collections.abc import Callable

import postgres
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Connect = Callable[[postgres.Server], FlaskClient]


def eventually(request: Callable[[], TestResponse], status: int = 201) -> TestResponse:
    """Repeat a request for up to ten seconds, as a client does that is told to try again."""
    for _ in range(100):
        if (response := request()).status_code == status:
            return response
        time.sleep(0.1)
    raise AssertionError(f"still {response.status_code}: {response.text}")


def test_a_row_is_numbered_checksummed_and_read_back(
    client: FlaskClient,
) -> None:
    written = client.post("/rows", json={"id": 7, "payload": "héllo"})

    assert written.status_code == 201
    assert written.headers["Location"] == "/rows/7"
    row = client.get("/rows/7").get_json()
    assert row == written.get_json()
    assert row["checksum"] == hashlib.sha256("héllo".encode()).hexdigest()
    assert row["region"] == "eu-west-2"


def test_a_row_without_a_number_gets_the_next_one(
    client: FlaskClient,
) -> None:
    first, second = (client.post("/rows", json={"payload": "x"}).get_json() for _ in range(2))

    assert second["id"] == first["id"] + 1


def test_writing_a_row_twice_is_as_good_as_once(client: FlaskClient) -> None:
    answers = [client.post("/rows", json={"id": 1, "payload": "same"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].get_json() == answers[1].get_json()


def test_a_number_that_is_taken_is_refused(client: FlaskClient) -> None:
    client.post("/rows", json={"id": 1, "payload": "mine"})

    refused = client.post("/rows", json={"id": 1, "payload": "yours"})

    assert refused.status_code == 409
    assert "row 1" in refused.get_json()["detail"]
    assert client.get("/rows/1").get_json()["payload"] == "mine"


def test_rows_come_in_order_a_page_at_a_time(client: FlaskClient) -> None:
    for number in (3, 1, 2):
        client.post("/rows", json={"id": number, "payload": "x"})

    page = client.get("/rows?after=1&limit=2").get_json()["rows"]

    assert [row["id"] for row in page] == [2, 3]


def test_before_the_first_write_there_are_no_rows(
    client: FlaskClient,
) -> None:
    assert client.get("/rows").get_json() == {"rows": []}
    assert client.get("/rows/1").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"payload": 1},
        {"payload": "x", "id": 0},
        {"payload": "x", "id": True},
        {"payload": "x", "id": 10**9},
        {"payload": "x", "extra": 1},
        {"payload": "\x00"},
    ],
)
def test_a_malformed_row_is_refused_with_the_reason(body: object, client: FlaskClient) -> None:
    refused = client.post("/rows", json=body)

    assert refused.status_code == 400
    assert refused.get_json()["detail"]


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=1001", "limit=9e9"])
def test_a_malformed_page_is_refused(query: str, client: FlaskClient) -> None:
    assert client.get(f"/rows?{query}").status_code == 400


def test_a_writer_says_that_it_is_one(client: FlaskClient) -> None:
    ready = client.get("/ready")

    assert ready.get_json() == {
        "role": "primary",
        "lag_seconds": 0,
        "writes_open": True,
        "region": "eu-west-2",
    }


def test_a_replica_reads_what_the_writer_wrote_and_takes_no_writes(
    writer: postgres.Server, replica: postgres.Server, connect: Connect
) -> None:
    connect(writer).post("/rows", json={"id": 1, "payload": "x"})
    client = connect(replica)

    eventually(lambda: client.get("/rows/1"), status=200)
    refused = client.post("/rows", json={"id": 2, "payload": "x"})

    assert refused.status_code == 503
    assert refused.get_json()["error"] == "read-only"
    assert int(refused.headers["Retry-After"]) > 0
    ready = client.get("/ready").get_json()
    assert (ready["role"], ready["writes_open"]) == ("replica", False)


def test_a_replica_that_keeps_up_is_not_behind_and_one_cut_off_falls_behind(
    writer: postgres.Server, replica: postgres.Server, connect: Connect
) -> None:
    connect(writer).post("/rows", json={"id": 1, "payload": "x"})
    client = connect(replica)
    eventually(lambda: client.get("/rows/1"), status=200)

    assert client.get("/ready").get_json()["lag_seconds"] == 0
    writer.stop("immediate")
    time.sleep(0.5)
    assert client.get("/ready").get_json()["lag_seconds"] > 0.4
    writer.start()


def test_writes_begin_when_the_replica_is_promoted_under_the_running_application(
    writer: postgres.Server, replica: postgres.Server, connect: Connect
) -> None:
    connect(writer).post("/rows", json={"id": 1, "payload": "before"})
    client = connect(replica)
    eventually(lambda: client.get("/rows/1"), status=200)
    assert client.post("/rows", json={"id": 2, "payload": "after"}).status_code == 503

    writer.stop("immediate")
    replica.promote()

    eventually(lambda: client.post("/rows", json={"id": 2, "payload": "after"}))
    rows = client.get("/rows").get_json()["rows"]
    assert [row["payload"] for row in rows] == ["before", "after"]
    assert client.get("/ready").get_json()["role"] == "primary"
    writer.start()


def test_promotion_before_any_write_leaves_a_writable_store(
    writer: postgres.Server, replica: postgres.Server, connect: Connect
) -> None:
    client = connect(replica)
    assert client.post("/rows", json={"id": 1, "payload": "x"}).status_code == 503

    replica.promote()

    eventually(lambda: client.post("/rows", json={"payload": "x"}))


def test_dropped_connections_go_unnoticed(writer: postgres.Server, connect: Connect) -> None:
    client = connect(writer)
    client.post("/rows", json={"id": 1, "payload": "x"})

    writer.restart()

    assert client.post("/rows", json={"id": 2, "payload": "x"}).status_code == 201


def test_an_unreachable_database_is_told_as_such_until_it_is_back(
    writer: postgres.Server, connect: Connect
) -> None:
    client = connect(writer)
    client.post("/rows", json={"id": 1, "payload": "x"})
    writer.stop()

    for refused in (client.get("/ready"), client.post("/rows", json={"id": 2, "payload": "x"})):
        assert refused.status_code == 503
        assert refused.get_json()["error"] == "database-unreachable"

    writer.start()
    eventually(lambda: client.post("/rows", json={"id": 2, "payload": "x"}))
