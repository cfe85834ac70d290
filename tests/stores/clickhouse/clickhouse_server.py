"""ClickHouse for tests: its engine (chdb) behind its HTTP protocol, in a process of its own that can be killed.

What is sent over HTTP reaches the engine as it is: the engine parses statements and rows, keeps parts, knows insertions
again and says what is wrong with them. Only the way in is ours: a query in the address is put before the body, as the
server of ClickHouse does, an error has the status and the header of one, and a user needs a password.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

USER, PASSWORD = "traffic", "päss/word"

#: The engine is 180 MB to load and 560 MB on the disk, so somebody may have left it out.
needs_chdb = pytest.mark.skipif(
    find_spec("chdb") is None, reason="NOT RUN: ClickHouse's engine is not installed; pip install chdb"
)


class ClickHouseServer:
    """A server that keeps its data in a folder, on a port that stays the same.

    Args:
        folder: of its data.
        port: that it listens on.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, __file__, str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command)  # noqa: S603 - this file
        end = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/ping", timeout=1):  # noqa: S310 - this machine
                    return
            except (urllib.error.URLError, OSError):
                assert self._process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it, as when the power goes."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def _serve(folder: str, port: int) -> None:
    from aiohttp import web
    from chdb.session import Session

    engine = Session(folder)
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    os.environ["TZ"] = "UTC"

    def refused(status: int, text: str) -> web.Response:
        found = re.search(r"Code:\s*(\d+)", text)
        return web.Response(
            status=status, text=text, headers={"X-ClickHouse-Exception-Code": found[1]} if found else {}
        )

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != expected:
            return refused(403, "Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)")
        body = (await request.read()).decode()
        query = request.query.get("query")
        try:
            said = engine.query(body if query is None else f"{query}\n{body}")
        except Exception as error:
            text = str(error)
            return refused(404 if "UNKNOWN_TABLE" in text else 400, text)
        return web.Response(body=said.bytes() if said is not None else b"")

    async def ping(_: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/ping", ping)
    app.router.add_post("/", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
