"""A cloud whose questions can be counted."""

import threading
from typing import Any

from standby.cloud import Cloud


class CountingCloud(Cloud):
    """A cloud that counts what it is asked."""

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(endpoint_url)
        self.calls: list[str] = []
        self._counting = threading.Lock()

    def call(self, operation: str, region: str, **parameters: Any) -> dict[str, Any]:
        with self._counting:
            self.calls.append(f"{operation} {region}")
        return super().call(operation, region, **parameters)
