"""An S3 server (moto) in a process of its own, with a bucket ``lake``; it keeps what it has in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from pyarrow import fs

from tests.ports import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "traffic", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def s3_options() -> Iterator[str]:
    """What stands behind the ``?`` of an address in the bucket; keys are in the environment."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            _until_it_listens(server, port)
            options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=eu-south-1"
            files, _ = fs.FileSystem.from_uri(f"s3://lake/?{options}&allow_bucket_creation=true")
            files.create_dir("lake")
            yield options
        finally:
            server.kill()
            server.wait()


def _until_it_listens(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 180
    while True:
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
