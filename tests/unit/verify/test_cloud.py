"""The door to AWS: what it says when the surroundings are wrong, and how it signs."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from standby.cloud import Cloud
from standby.errors import EnvironmentProblem, UsageError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def answering(status: int, body: bytes) -> http.server.HTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def respond() -> Iterator[object]:
    servers: list[http.server.HTTPServer] = []

    def start(status: int, body: bytes) -> str:
        servers.append(answering(status, body))
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_loopback_endpoint_needs_no_credentials(endpoint: str) -> None:
    assert Cloud(endpoint).account("eu-west-2") == "123456789012"


def test_the_endpoint_may_come_from_the_environment(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert Cloud().endpoint_url == endpoint
    assert Cloud().account("eu-west-2") == "123456789012"


@pytest.mark.parametrize("url", [None, "https://vpce-1.sts.eu-west-2.vpce.amazonaws.com"])
def test_dummy_credentials_never_leave_the_machine(url: str | None) -> None:
    with pytest.raises(EnvironmentProblem, match="no AWS credentials found"):
        Cloud(url).account("eu-west-2")


def test_credentials_in_the_environment_are_used_on_a_loopback_endpoint_too(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = Cloud(endpoint).client("sts", "eu-west-2")
    assert client._request_signer._credentials.access_key == "mine"


def test_an_endpoint_that_refuses_is_told_with_a_remedy() -> None:
    with pytest.raises(EnvironmentProblem, match=r"cannot reach http://127.0.0.1:1/; is the twin"):
        Cloud("http://127.0.0.1:1").account()


@pytest.mark.parametrize("url", ["4566", "127.0.0.1:4566", "ftp://127.0.0.1", "http://h:99999"])
def test_what_is_no_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="not an HTTP URL"):
        Cloud(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="has a password in it") as refusal:
        Cloud("http://user:hush@127.0.0.1:4566")
    assert "hush" not in str(refusal.value)


def test_an_unknown_profile_is_told() -> None:
    with pytest.raises(EnvironmentProblem, match="nowhere"):
        Cloud(profile="nowhere")


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>hello</html>"), (404, b"<html><br>not found</html>"), (200, b"SSH-2.0")],
)
def test_a_server_of_another_kind_is_told(respond: object, status: int, body: bytes) -> None:
    with pytest.raises(EnvironmentProblem, match="not as the AWS API does"):
        Cloud(respond(status, body)).account()  # type: ignore[operator]


def test_and_so_it_is_when_asked_anything_else(respond: object) -> None:
    cloud = Cloud(respond(200, b"<html>hello</html>"))  # type: ignore[operator]
    with pytest.raises(EnvironmentProblem, match="not as the AWS API does"):
        cloud.call("cloudformation:DescribeStacks", "eu-west-2")


def test_a_server_that_fails_is_told(respond: object) -> None:
    with pytest.raises(EnvironmentProblem, match="HTTP 502, not as the AWS API does"):
        Cloud(respond(502, b"")).account()  # type: ignore[operator]


def test_no_proxy_is_asked_for_what_is_on_this_machine(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert Cloud(endpoint).account("eu-west-2") == "123456789012"


def test_an_endpoint_that_takes_requests_and_does_not_answer_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("standby.cloud.READ_SECONDS_LOCAL", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EnvironmentProblem, match="takes requests, but does not answer"):
            Cloud(url).account()


@pytest.mark.parametrize(
    ("code", "complaint"),
    [("ExpiredToken", "session has expired"), ("InvalidClientTokenId", "refuses the credentials")],
)
def test_credentials_that_aws_refuses_are_told(respond: object, code: str, complaint: str) -> None:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>x</Message></Error></ErrorResponse>"
    with pytest.raises(EnvironmentProblem, match=complaint):
        Cloud(respond(403, body.encode())).account()  # type: ignore[operator]


def test_what_aws_itself_denies_stays_its_own_error(endpoint: str) -> None:
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        Cloud(endpoint).call(
            "rds:DescribeDBInstances", "eu-west-2", DBInstanceIdentifier="db-primary-dev"
        )


def test_clients_are_made_once_however_many_threads_ask(endpoint: str) -> None:
    cloud = Cloud(endpoint)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(cloud.client("ec2", "eu-west-3")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in found}) == 1


def test_a_call_joins_all_pages(endpoint: str) -> None:
    cloud = Cloud(endpoint)
    for number in range(120):
        cloud.client("iam", "us-east-1").create_role(
            RoleName=f"role-{number}", AssumeRolePolicyDocument="{}"
        )
    assert len(cloud.call("iam:ListRoles", "us-east-1")["Roles"]) == 120
