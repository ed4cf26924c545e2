"""What the application is told by its environment."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SECRET_LIFETIME = 60.0
"""Seconds to keep a secret before asking again, so that a rotated password is picked up."""


class ConfigError(Exception):
    """The environment lacks something, or says something impossible."""


class CredentialsUnavailable(Exception):  # noqa: N818 - a state of AWS, not a fault
    """Secrets Manager does not answer, and has not answered before."""


@dataclass(frozen=True)
class Credentials:
    """Who the application is to its database."""

    user: str
    password: str


@dataclass(frozen=True)
class Config:
    """Everything the application needs to know.

    Attributes:
        database_host: Host name of this region's own database, or a directory with its socket.
        database_port: Its port.
        database_name: Its database.
        database_ca: Certificates that vouch for it; without them TLS is used but not verified.
        credentials: Gives the credentials of the moment.
        mount_path: Where the shared files are mounted.
        host: Address to listen on.
        port: Port to listen on.
        region: The AWS region the instance is in; rows remember where they were written.
    """

    database_host: str
    database_port: int
    database_name: str
    database_ca: Path | None
    credentials: Callable[[], Credentials]
    mount_path: Path
    host: str
    port: int
    region: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment.

        Raises:
            ConfigError: A variable is missing or unusable; the message names it.
        """
        ca = environ.get("DATABASE_CA")
        if ca and not Path(ca).is_file():
            raise ConfigError(f"DATABASE_CA is {ca!r}, and there is no such file")
        region = _required(environ, "AWS_REGION")
        return cls(
            database_host=_required(environ, "DATABASE_HOST"),
            database_port=_port(environ, "DATABASE_PORT", 5432),
            database_name=_required(environ, "DATABASE_NAME"),
            database_ca=Path(ca) if ca else None,
            credentials=_credentials(environ, region),
            mount_path=Path(_required(environ, "MOUNT_PATH")),
            host=environ.get("HOST", "0.0.0.0"),  # noqa: S104 - the load balancer is elsewhere
            port=_port(environ, "PORT", 8080),
            region=region,
        )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not (value := environ.get(name)):
        raise ConfigError(f"the environment variable {name} is not set")
    return value


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, str(default))
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ConfigError(f"{name} is {value!r}, which is not a port")
    return int(value)


def _credentials(environ: Mapping[str, str], region: str) -> Callable[[], Credentials]:
    """Take the credentials from Secrets Manager, or from the environment where there is none."""
    if secret := environ.get("DATABASE_SECRET"):
        return SecretCredentials(secret, region)
    fixed = Credentials(_required(environ, "DATABASE_USER"), environ.get("DATABASE_PASSWORD", ""))
    return lambda: fixed


class SecretCredentials:
    """The credentials in a Secrets Manager secret of the form ``{"username", "password"}``.

    When Secrets Manager does not answer, the last ones that it gave are used.
    """

    def __init__(self, secret: str, region: str) -> None:
        import boto3  # takes a while, and only instances on AWS need it

        self._client = boto3.client("secretsmanager", region_name=region)
        self._secret = secret
        self._read_at = 0.0
        self._last: Credentials | None = None

    def __call__(self) -> Credentials:
        """Give the credentials of the moment.

        Raises:
            CredentialsUnavailable: There are none, old or new.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if self._last is not None and time.monotonic() - self._read_at < SECRET_LIFETIME:
            return self._last
        try:
            answer = self._client.get_secret_value(SecretId=self._secret)
        except (BotoCoreError, ClientError) as error:
            if self._last is None:
                raise CredentialsUnavailable(f"no credentials from {self._secret}") from error
            return self._last
        secret = json.loads(answer["SecretString"])
        self._last = Credentials(secret["username"], secret["password"])
        self._read_at = time.monotonic()
        return self._last
