"""The one door to AWS, real or local: boto3 clients per region, behind an endpoint URL.

Whatever is wrong with the surroundings (no credentials, an expired session, an endpoint that
does not answer) leaves here as an `EnvironmentProblem` of one line. Answers of AWS itself, such
as "no such database", stay botocore's ``ClientError``: only the caller knows what they mean.
"""

import ipaddress
import os
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions, xform_name
from botocore.config import Config
from botocore.parsers import ResponseParserError

from standby.errors import EnvironmentProblem, UsageError

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
READ_SECONDS, READ_SECONDS_LOCAL = 60, 20
"""How long an answer may take: as botocore has it, and on this machine, where it takes none."""
_NOT_AWS = "not as the AWS API does; check --endpoint-url"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_REFUSED = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class Cloud:
    """Clients of every service and region of one account, at AWS or at an endpoint URL.

    Safe to use from many threads. A loopback endpoint needs no credentials: unless the
    environment or ``profile`` gives some, dummy ones sign the requests, so that a twin works on
    a machine without an AWS account and real keys never reach it by accident.

    Args:
        endpoint_url: Where the API is, such as ``http://127.0.0.1:4566``; ``AWS_ENDPOINT_URL``
            unless given, and AWS itself without either.
        profile: Name of a profile of the shared AWS configuration; ``AWS_PROFILE`` unless given.

    Raises:
        UsageError: ``endpoint_url`` is not an HTTP URL, or has a password in it.
        EnvironmentProblem: The profile does not exist.
    """

    def __init__(self, endpoint_url: str | None = None, profile: str | None = None) -> None:
        self.endpoint_url = endpoint_url or os.environ.get(ENDPOINT_VARIABLE) or None
        self.is_local = self.endpoint_url is not None and _is_loopback(self.endpoint_url)
        needs_dummy = self.is_local and not (profile or os.environ.get("AWS_ACCESS_KEY_ID"))
        dummy = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        try:
            self._session = boto3.Session(
                profile_name=profile,
                **(dummy if needs_dummy else {}),  # type: ignore[arg-type]
            )
        except exceptions.BotoCoreError as error:
            raise EnvironmentProblem(f"cannot use the AWS configuration: {error}") from None
        self._session.events.register("creating-client-class", _add_plain_errors)
        self._config = Config(
            connect_timeout=2 if self.is_local else 5,
            read_timeout=READ_SECONDS_LOCAL if self.is_local else READ_SECONDS,
            # A loopback port that refuses is not going to change its mind.
            retries={"mode": "standard", "total_max_attempts": 1 if self.is_local else 4},
            max_pool_connections=32,
            proxies={} if self.is_local else None,  # none leads to this machine
        )
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        """Give the boto3 client of a service in a region, made on first use.

        Its operations raise `EnvironmentProblem` for the surroundings' faults and botocore's
        ``ClientError`` for what AWS refuses.
        """
        # boto3 documents that neither sessions nor the making of clients are thread safe.
        with self._lock:
            if (service, region) not in self._clients:
                try:
                    self._clients[service, region] = self._session.client(
                        service,  # type: ignore[call-overload]
                        region_name=region,
                        endpoint_url=self.endpoint_url,
                        config=self._config,
                    )
                except exceptions.BotoCoreError as error:
                    raise EnvironmentProblem(_explain(error) or str(error)) from None
            return self._clients[service, region]

    def call(self, operation: str, region: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation by its API name and give its whole answer, all pages joined.

        Args:
            operation: Service and operation as botocore spells them: ``rds:DescribeDBInstances``.
            region: Region whose endpoint is asked.
            parameters: The operation's parameters, as its API reference names them.
        """
        service, name = operation.split(":")
        client = self.client(service, region)
        method = xform_name(name)
        if client.can_paginate(method):
            pages = client.get_paginator(method).paginate(**parameters)
            return dict(pages.build_full_result())
        return dict(getattr(client, method)(**parameters))

    def account(self, region: str = "us-east-1") -> str:
        """Give the id of the account that the credentials belong to, asking STS in ``region``.

        It is also the cheapest proof that the endpoint answers and the credentials are good.
        """
        try:
            return str(self.client("sts", region).get_caller_identity()["Account"])
        except KeyError:
            raise EnvironmentProblem(f"{self.endpoint_url} answers, but {_NOT_AWS}") from None


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise UsageError(
            f"endpoint URL {url!r} is not an HTTP URL; write it like http://127.0.0.1:4566"
        )
    if parts.password:  # it would be shown wherever the endpoint is
        raise UsageError(
            f"the endpoint URL of {host} has a password in it; AWS credentials go into AWS_PROFILE"
        )
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _PlainErrors:
    """A base of every client class, which turns the surroundings' faults into plain words."""

    def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        try:
            return super()._make_api_call(operation_name, api_params)  # type: ignore[misc]
        except KeyError:  # botocore's parser, of an answer that is XML and no more
            url = self.meta.endpoint_url  # type: ignore[attr-defined]
            raise EnvironmentProblem(f"{url} answers, but {_NOT_AWS}") from None
        except (exceptions.BotoCoreError, exceptions.ClientError, ResponseParserError) as error:
            if explanation := _explain(error):
                raise EnvironmentProblem(explanation) from None
            raise


def _add_plain_errors(base_classes: list[type], **_: Any) -> None:
    base_classes.insert(0, _PlainErrors)


def _explain(error: Exception) -> str | None:
    """Say in one line what is wrong with the surroundings; None if AWS itself said no."""
    match error:
        case exceptions.ClientError():
            return _explain_answer(error)
        case exceptions.NoCredentialsError():
            return (
                "no AWS credentials found; start the twin (`standby up`), or for AWS set "
                "AWS_PROFILE or sign in (`aws configure sso`)"
            )
        case (
            exceptions.PartialCredentialsError()
            | exceptions.CredentialRetrievalError()
            | exceptions.UnauthorizedSSOTokenError()
            | exceptions.SSOTokenLoadError()
            | exceptions.TokenRetrievalError()
        ):
            return f"cannot get AWS credentials: {error}; sign in again or set AWS_PROFILE"
        case ResponseParserError():
            return f"the endpoint answers, but {_NOT_AWS}"
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            # botocore knows the URL; urllib3's reason is too long for a line of ours.
            where = error.kwargs.get("endpoint_url") or error.kwargs.get("proxy_url")
            url = str(where or "https://aws.amazon.com")
            local = _is_loopback(url)
            hint = "is the twin running (`standby up`)?" if local else "check the network"
            silent = isinstance(error, exceptions.ReadTimeoutError)
            what = f"{url} takes requests, but does not answer" if silent else f"cannot reach {url}"
            return f"{what}; {hint}"
    return None


def _explain_answer(error: exceptions.ClientError) -> str | None:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _EXPIRED:
        return "the AWS session has expired; sign in again (`aws sso login`)"
    if code in _REFUSED:
        return f"AWS refuses the credentials ({code}); check AWS_PROFILE or the access key"
    if code.isdigit() and int(code) >= HTTPStatus.INTERNAL_SERVER_ERROR:  # AWS would name its own
        return f"the endpoint answers with HTTP {code}, {_NOT_AWS}"
    return None
