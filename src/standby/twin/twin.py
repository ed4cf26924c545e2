"""Both regions of AWS on this machine: the API's state, and clients of it without a socket."""

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from werkzeug.test import EnvironBuilder, run_wsgi_app

from standby.twin.gateway import Gateway

S = TypeVar("S")
ACCOUNT = "123456789012"
ENDPOINT = "http://127.0.0.1"
USUAL = {
    "ec2": "describe_vpcs",
    "kms": "list_keys",
    "logs": "describe_log_groups",
    "rds": "describe_db_instances",
    "secretsmanager": "list_secrets",
    "efs": "describe_file_systems",
    "elbv2": "describe_load_balancers",
    "autoscaling": "describe_auto_scaling_groups",
    "cloudwatch": "describe_alarms",
    "route53": "list_health_checks",
    "sns": "list_topics",
}
"""Services that nearly every deployment needs, each with a question that costs nothing."""


class Twin:
    """One local AWS: a WSGI application (`gateway`), its state and its clients."""

    def __init__(self, *, speed: float = 60.0) -> None:
        """Start empty.

        Args:
            speed: How many times faster than AWS's own delays the twin's clock runs.
        """
        self.speed = speed
        self.gateway = Gateway(self)
        self._session = boto3.Session(aws_access_key_id="twin", aws_secret_access_key="twin")  # noqa: S106
        self._clients: dict[tuple[str, str], Any] = {}
        self._stores: dict[tuple[type, str], Any] = {}
        self._lock = threading.RLock()

    def client(self, service: str, region: str) -> Any:
        """Give a boto3 client of this twin that calls the gateway in-process."""
        with self._lock:
            if (service, region) not in self._clients:
                client = self._session.client(
                    service,  # type: ignore[call-overload]
                    region_name=region,
                    endpoint_url=ENDPOINT,
                    config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
                )
                client.meta.events.register("before-send", self._send)
                self._clients[service, region] = client
            return self._clients[service, region]

    def warm_up(self, regions: Sequence[str]) -> None:
        """Load what the usual services need, while whoever started the twin is still synthesizing.

        Their models and backends are loaded on first use, which takes seconds in all.
        """
        for service, question in USUAL.items():
            for region in regions:
                getattr(self.client(service, region), question)()

    def store(self, kind: type[S], region: str) -> S:
        """Give the state of one kind in one region, made on first use."""
        with self._lock:
            store: S = self._stores.setdefault((kind, region), kind())
            return store

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Carry a client's request to the gateway: the seam where a socket would be."""
        environ = EnvironBuilder(
            path=request.url.removeprefix(ENDPOINT),
            method=request.method,
            headers=[
                (k, v.decode() if isinstance(v, bytes) else v) for k, v in request.headers.items()
            ],
            data=_bytes(request.body or b""),
        ).get_environ()
        chunks, status, headers = run_wsgi_app(self.gateway, environ, buffered=True)
        answer_headers = HTTPHeaders()
        for name, value in headers:
            answer_headers[name] = value
        body = _Raw(b"".join(chunks))
        return AWSResponse(request.url, int(status.split()[0]), answer_headers, body)


def _bytes(content: Any) -> bytes:
    if hasattr(content, "read"):
        content = content.read()
    return content.encode() if isinstance(content, str) else bytes(content)


class _Raw:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body
