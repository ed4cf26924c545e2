"""An AWS of moto's, empty, and the outputs of a deployment that would be there."""

from collections.abc import Iterator

import pytest
from counting_cloud import CountingCloud
from moto.server import ThreadedMotoServer

from standby.verify import Outputs

ACCOUNT = "123456789012"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> CountingCloud:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return CountingCloud(endpoint)


@pytest.fixture
def outputs() -> Outputs:
    return Outputs(
        "TapStackdev",
        {
            f"TapStackdev-Security{side}": {"KmsKeyArn": f"arn:aws:kms:{region}:{ACCOUNT}:key/k"}
            for side, region in (("Primary", "eu-west-2"), ("Standby", "eu-west-3"))
        },
    )
