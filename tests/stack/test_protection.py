"""The embedded servers as another user of the machine meets them, and as a producer does."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaProducer  # type: ignore[import-untyped]
from redis import Redis
from redis.exceptions import AuthenticationError

from tests.conftest import exported
from tests.ports import free_port
from trafficapp.engine.kafka import librdkafka_config
from trafficapp.settings import load_settings
from trafficapp.stack.servers import kept_secrets
from trafficapp.stack.servers.ports import FILE_NAME
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW, METRICS

STRANGER = 65_533
COMMAND = [sys.executable, "-m", "trafficapp.stack.commands"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder of a running stack, below folders that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="trafficapp-protection-") as above:
        Path(above).chmod(0o755)
        folder = Path(above) / "data"
        # as an earlier version left it
        (folder / "kafka").mkdir(parents=True, mode=0o755)
        ports = {name: free_port() for name in ("kafka", "kafka-secured", "kafka-controller", "postgres", "redis")}
        (folder / FILE_NAME).write_text(json.dumps(ports), encoding="ascii")
        command = [*COMMAND, "stack", "--data-dir", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            subprocess.run(
                [sys.executable, "-m", "trafficapp.cli", "topics", "create"],
                env={**os.environ, **exported(folder)}, check=True, capture_output=True,
            )  # fmt: skip
            yield folder
            process.send_signal(signal.SIGTERM)
            assert process.stdout.read() == ""
            assert process.wait(60) == 0
        assert not (folder / "stack.env").exists()


def open_client(folder: Path, **more: Any) -> dict[str, Any]:
    servers = exported(folder)["KAFKA_BOOTSTRAP_SERVERS"]
    return {"bootstrap.servers": servers, "log_level": 0, **{key.replace("_", "."): more[key] for key in more}}


def test_nothing_in_the_folder_is_for_others(folder: Path) -> None:
    assert not stat.S_IMODE(folder.stat().st_mode) & 0o007
    for entry in folder.iterdir():
        assert not stat.S_IMODE(entry.stat().st_mode) & 0o077, entry
    assert {"kafka", "postgres", "redis", "redis.conf", "kafka.properties", "stack.env"} <= {
        entry.name for entry in folder.iterdir()
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to try it")
def test_another_user_reads_no_file_and_each_server_is_one_of_its_own(folder: Path) -> None:
    known = [
        "stack.env",
        "redis.conf",
        "kafka.properties",
        "control.key",
        "postgres/PG_VERSION",
        "kafka/meta.properties",
    ]
    for name in known:
        assert (folder / name).exists()
        for command in (["cat", str(folder / name)], ["sh", "-c", f"echo >> {folder / name}"]):
            tried = subprocess.run(  # noqa: S603
                command, user=STRANGER, group=STRANGER, extra_groups=[], cwd="/", capture_output=True, check=False
            )
            assert tried.returncode != 0, command
            assert b"ermission denied" in tried.stderr
    users = [
        psutil.Process(json.loads((folder / "run" / f"{name}.pid").read_text())["pid"]).uids().effective
        for name in ("kafka", "postgres", "redis")
    ]
    assert len({0, *users}) == 4


def test_no_command_line_tells_a_secret(folder: Path) -> None:
    secrets = [kept_secrets.kept(folder, name) for name in kept_secrets.FILE_NAMES]
    for name in ("kafka", "postgres", "redis"):
        process = psutil.Process(json.loads((folder / "run" / f"{name}.pid").read_text())["pid"])
        told = " ".join(process.cmdline())
        assert not [secret for secret in secrets if secret in told]


def test_work_in_postgres_is_not_that_of_its_owner(folder: Path) -> None:
    told = exported(folder)
    with (
        psycopg.connect(told["DATABASE_URL"]) as work,
        psycopg.connect(told["TRAFFICAPP_POSTGRES__OWNER_URL"]) as owner,
    ):
        whether = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        assert (work.execute(whether).fetchone(), owner.execute(whether).fetchone()) == ((False,), (True,))


def test_redis_wants_its_password(folder: Path) -> None:
    url = exported(folder)["REDIS_URL"]
    with Redis.from_url(url) as redis:
        assert redis.ping()
    with Redis.from_url(f"redis://{url.split('@')[1]}") as redis, pytest.raises(AuthenticationError):
        redis.get("any")


def test_producers_send_as_before_and_only_where_input_is(folder: Path) -> None:
    told: dict[str, str | None] = {}
    producer = Producer(open_client(folder, enable_idempotence=True))
    for topic in (EVENTS_RAW, METRICS, DEAD_LETTERS, "never-made"):
        producer.produce(
            topic, b"{}", on_delivery=lambda error, _, topic=topic: told.update({topic: error and error.name()})
        )
    producer.flush(20)
    refused = "TOPIC_AUTHORIZATION_FAILED"
    assert told == {EVENTS_RAW: None, METRICS: refused, DEAD_LETTERS: refused, "never-made": refused}
    transactional = Producer(open_client(folder, transactional_id="a-producer"))
    transactional.init_transactions(20)
    transactional.begin_transaction()
    transactional.produce(EVENTS_RAW, b"{}")
    transactional.commit_transaction(20)
    theirs = KafkaProducer(bootstrap_servers=exported(folder)["KAFKA_BOOTSTRAP_SERVERS"])
    assert theirs.send(EVENTS_RAW, b"{}").get(20).offset >= 0
    theirs.close()


def test_nobody_shuts_out_a_worker_reads_or_sees_outputs(folder: Path) -> None:
    worker = Producer(open_client(folder, transactional_id="trafficapp-feeds-0"))
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        worker.init_transactions(20)
    reader = Consumer(open_client(folder, group_id="any", auto_offset_reset="earliest"))
    reader.assign([TopicPartition(EVENTS_RAW, 0, 0)])
    message = reader.poll(20)
    assert message is not None
    assert "authorization failed" in str(message.error()).lower()
    reader.close()
    assert METRICS not in AdminClient(open_client(folder)).list_topics(timeout=20).topics


def test_what_env_prints_leads_our_tools_to_where_they_may_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*COMMAND, "env", "--data-dir", str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command
    assert printed == (folder / "stack.env").read_text()
    for name, value in exported(folder).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.kafka.bootstrap_servers != exported(folder)["KAFKA_BOOTSTRAP_SERVERS"]
    assert METRICS in AdminClient({**librdkafka_config(settings)}).list_topics(timeout=20).topics
    # whoever names another Kafka means that one, and it is not told the password
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "elsewhere:9092")
    assert librdkafka_config(load_settings()) == {"bootstrap.servers": "elsewhere:9092"}


def test_env_says_when_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "stack.env").write_text("export OLD=1\n")
    tried = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, "env", "--data-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert tried.returncode == 1
    assert "nothing runs on" in tried.stderr
    assert tried.stdout == ""
