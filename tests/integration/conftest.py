"""Folders to work in, one of them with a twin that has everything deployed."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty folder; a twin that a test leaves running ends with it."""
    space = Workspace(tmp_path)
    yield space
    space.down()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A folder whose twin has the application, with a domain of its own, in both regions."""
    space = Workspace(tmp_path_factory.mktemp("deployed"), {"STANDBY_DOMAIN_NAME": "example.org"})
    up = space.standby("up", "--detach")
    assert up.returncode == 0, up.stderr
    space.environment["UP_SAID"] = up.stdout
    yield space
    space.down()


@pytest.fixture
def make_assembly() -> Callable[[Path, dict[str, Any]], None]:
    """Write a cloud assembly of one stack, for eu-west-2, with given resources."""

    def make(folder: Path, resources: dict[str, Any]) -> None:
        folder.mkdir()
        template = json.dumps({"Resources": resources})
        (folder / "Stack.template.json").write_text(template)
        bucket = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
        key = f"{hashlib.sha256(template.encode()).hexdigest()}.json"
        destination = {"bucketName": bucket, "objectKey": key}
        assets = {
            "version": "48.0.0",
            "files": {
                "template": {
                    "source": {"path": "Stack.template.json", "packaging": "file"},
                    "destinations": {"here": destination},
                }
            },
        }
        (folder / "Stack.assets.json").write_text(json.dumps(assets))
        stack = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/eu-west-2",
            "properties": {
                "templateFile": "Stack.template.json",
                "stackTemplateAssetObjectUrl": f"s3://{bucket}/{key}",
            },
            "dependencies": ["Stack.assets"],
        }
        manifest = {
            "version": "48.0.0",
            "artifacts": {
                "Stack.assets": {
                    "type": "cdk:asset-manifest",
                    "properties": {"file": "Stack.assets.json"},
                },
                "Stack": stack,
            },
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return make
