"""The page of results that are still training, served to this machine alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from superpos_jax.errors import UserError
from superpos_jax.page.write import bokeh, data, page
from superpos_jax.results.result import Result, load
from superpos_jax.results.store import STORE

LOOPBACK = "127.0.0.1"
WAITING = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="3">'
    '<link rel="icon" href="data:,">'
    '<meta name="color-scheme" content="light dark"><title>superpos_jax</title>'
    "<p>Nothing is measured yet. This page asks again every three seconds.</p>"
)


class Numbers:
    """Result folders as they are now, read again when one of them has changed.

    Args:
        folders: of results.
        read: a folder's result.
    """

    def __init__(self, folders: Sequence[Path], read: Callable[[Path], Result] = load) -> None:
        self.folders, self.read = folders, read
        self.lock = threading.Lock()
        self.stamp = ""
        self.results: list[Result] = []

    def now(self) -> tuple[str, list[Result]]:
        """A stamp that changes with the stores, and the results.

        Raises:
            UserError: one of them is not there yet.
        """
        with self.lock:
            stamp = "-".join(map(_stamp, self.folders))
            if stamp != self.stamp:
                self.results = [self.read(folder) for folder in self.folders]
                self.stamp = stamp
            return stamp, self.results


def _stamp(folder: Path) -> str:
    """When a folder's store was put in its place."""
    try:
        return f"{(folder / STORE).stat().st_mtime_ns:x}"
    except OSError:
        raise UserError(f"{folder}: nothing is measured yet") from None


@contextmanager
def serving(numbers: Numbers, port: int = 0) -> Iterator[str]:
    """Serve a page on the loopback address until the block ends; its address.

    Args:
        numbers: what the page shows.
        port: 0 for any that is free.

    Raises:
        UserError: the port is taken.
    """
    bokeh()  # refused now rather than to a browser
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), _handler(numbers))
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror}; choose another") from None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(numbers: Numbers) -> type[BaseHTTPRequestHandler]:
    """What answers: the page at `/`, and at `/data?STAMP` what is new since then."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Host", "").partition(":")[0] not in (LOOPBACK, "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN)  # a name of a stranger's that leads here
                return
            path, _, since = self.path.partition("?")
            if path not in ("/", "/data"):
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                stamp, results = numbers.now()
                if path == "/":
                    self._answer("text/html", page(results, stamp))
                elif since == stamp:
                    self.send_response(HTTPStatus.NO_CONTENT)
                    self.end_headers()
                else:
                    self._answer("application/json", json.dumps(data(results, stamp)))
            except UserError:
                self._answer("text/html", WAITING)

        def _answer(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(HTTPStatus.OK if text is not WAITING else HTTPStatus.ACCEPTED)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not printed."""

    return Handler
