"""An endpoint in front of another one, at which some services are broken in a way of their own."""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST, SILENT = (0, "lost"), (0, "silent")
"""Answers of a service that ends the connection without one, and of one that never gives any."""
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[a-z0-9-]+/([a-z0-9-]+)/")


@contextmanager
def faulty_endpoint(behind: str, broken: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """Give the URL of an endpoint that answers for ``broken`` services itself.

    Args:
        behind: URL of the endpoint that answers for all others.
        broken: Status and body of every answer, by the name that a service signs with.
    """

    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scope = _SCOPE.search(self.headers.get("Authorization", ""))
            service = scope[1] if scope else ""
            if service not in broken:
                self._answer(*self._pass_on(body))
            elif broken[service] in (LOST, SILENT):
                if broken[service] is SILENT:
                    over.wait()
                self.close_connection = True
            else:
                status, text = broken[service]
                self._answer(status, text.encode())

        do_GET = do_POST  # noqa: N815 - http.server's names

        def _pass_on(self, body: bytes) -> tuple[int, bytes]:
            request = urllib.request.Request(  # noqa: S310 - a URL of ours
                behind + self.path, body or None, dict(self.headers), method=self.command
            )
            try:
                with urllib.request.urlopen(request) as answer:  # noqa: S310
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()
