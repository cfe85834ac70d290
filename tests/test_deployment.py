"""What people deploy with: the compose file, the image, the lock files, and what the documents say of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import BaseModel

from trafficapp.cli import main as trafficapp_command
from trafficapp.settings import Settings, load_settings
from trafficapp.settings.deployed_names import NAMES

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
COMMANDS = set(trafficapp_command.list_commands(click.Context(trafficapp_command)))
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")),
)

_PARTS_OF_ADDRESSES = {"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "REDIS_HOST", "REDIS_PORT"}
_OTHER_VARIABLES = {"TRAFFICAPP_CONFIG", "ADMIN_API_KEY"}
_REFERENCE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")
_PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)")


def read(name: str) -> str:
    """The text of a file of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file; YAML merges are done."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return loaded


def interpolated(value: str, given: dict[str, str]) -> str:
    """Fill in variables as compose does; KeyError for a required one that is not given."""

    def fill(match: re.Match[str]) -> str:
        name, operator, fallback = match.groups()
        return given[name] if given.get(name) or operator != ":-" else fallback

    return _REFERENCE.sub(fill, value)


def setting_variables(shape: type[BaseModel] = Settings, prefix: str = "TRAFFICAPP_") -> Iterator[str]:
    """The environment variables of all settings."""
    for name, field in shape.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_variables(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper()


def locked(name: str) -> dict[str, Version]:
    """Packages of a lock file."""
    lines = read(f"requirements/{name}.txt").splitlines()
    return {match[1]: Version(match[2]) for line in lines if (match := _PINNED.match(line))}


# ---------------------------------------------------------------------- docker-compose.yml


def test_the_compose_file_fits_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stdout + result.stderr


def test_services_depend_on_services_that_can_meet_the_condition(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, dependency in service.get("depends_on", {}).items():
            assert other in services, f"{name} depends on {other}"
            if dependency["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"]
            else:
                assert dependency["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no", f"{other} would never complete"


def test_ports_are_published_to_this_machine_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_scaled_workers_find_a_port_each(services: dict[str, Any]) -> None:
    (port,) = services["worker"]["ports"]
    first, last = re.fullmatch(r"127\.0\.0\.1:(\d+)-(\d+):6066", port).groups()  # type: ignore[union-attr]
    assert int(last) - int(first) + 1 >= 8, "fewer ports than partitions"


def test_there_is_no_password_but_the_one_that_is_given(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or name == "REDISCLI_AUTH":
                assert re.match(r"\$\{(POSTGRES|REDIS|KAFKA_UI)_PASSWORD:\?", value)
                with pytest.raises(KeyError):
                    interpolated(value, {})


def test_each_service_has_the_secrets_that_it_needs(services: dict[str, Any]) -> None:
    secrets = (
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
        "KAFKA_UI_PASSWORD",
        "ADMIN_API_KEY",
        "HERE_API_KEY",
        "AWS_SECRET",
    )
    found = {
        name: {secret for secret in secrets if f"${{{secret}" in str(service.get("environment", {}))}
        for name, service in services.items()
    }
    workers = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "ADMIN_API_KEY"}
    assert found == {
        **dict.fromkeys(("worker", "alerts", "roads", "feeds", "history", "live", "site"), workers),
        "lake": workers | {"AWS_SECRET"},
        "demo": workers - {"ADMIN_API_KEY"},
        "migrate": {"POSTGRES_PASSWORD"},
        "here": {"HERE_API_KEY"},
        "postgres": {"POSTGRES_PASSWORD"},
        "redis": {"REDIS_PASSWORD"},
        "kafka-ui": {"KAFKA_UI_PASSWORD"},
        "kafka": set(),
    }


def test_redis_and_the_look_into_kafka_ask_who_it_is(services: dict[str, Any]) -> None:
    assert '--requirepass "$$REDISCLI_AUTH"' in services["redis"]["command"][-1]
    environment = services["kafka-ui"]["environment"]
    assert environment["AUTH_TYPE"] == "LOGIN_FORM"
    assert {"SPRING_SECURITY_USER_NAME", "SPRING_SECURITY_USER_PASSWORD"} <= set(environment)


def test_images_have_a_version(services: dict[str, Any]) -> None:
    for service in services.values():
        assert re.fullmatch(r"[a-z/-]+:v?\d[\w.-]*", service["image"]), service["image"]


@pytest.mark.parametrize(
    ("service", "role"),
    [("worker", "streams"), *((role, role) for role in ("alerts", "roads", "feeds", "history", "live", "site"))],
)
def test_a_worker_reads_what_compose_gives_it(
    services: dict[str, Any], service: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = set(setting_variables()) | set(NAMES) | _PARTS_OF_ADDRESSES | _OTHER_VARIABLES
    environment = services[service]["environment"]
    assert set(environment) <= known
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, interpolated(value, {"POSTGRES_PASSWORD": 'p@ss/w"d:%', "REDIS_PASSWORD": "r3"}))
    settings = load_settings()
    assert settings.worker.role == role
    assert settings.web.host == "0.0.0.0"  # noqa: S104 - inside the container
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert (
        settings.postgres.url.get_secret_value()
        == "postgresql://trafficapp:p%40ss%2Fw%22d%3A%25@postgres:5432/trafficapp"
    )
    assert settings.redis.url.get_secret_value() == "redis://:r3@redis:6379/0"
    assert settings.admin.api_key is None
    assert (settings.retention.events_hours, settings.retention.metrics_days) == (24, 30)
    # nothing by the clock unless asked for, and what is kept is kept in a volume
    assert (settings.forecast.train_weekly, settings.backup.nightly, settings.here.api_key) == ("", "", None)
    mounted = dict(volume.split(":")[::-1] for volume in services[service]["volumes"])
    assert mounted[str(settings.forecast.models_dir)] == "models"
    assert (mounted.get(str(settings.backup.folder)) == "backups") == (role in ("history", "site"))
    assert (mounted.get(str(settings.reports.folder)) == "reports") == (role in ("history", "site"))


def test_what_is_asked_for_reaches_the_service_that_does_it(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"FORECAST_TRAIN_WEEKLY": "sun 03:00", "BACKUP_NIGHTLY": "02:30", "HERE_API_KEY": "key"}
    given |= {"REPORTS_DAILY": "05:00", "REPORTS_WEBHOOK_URL": "https://desk.example/hook"}
    given |= {"POSTGRES_PASSWORD": "secret", "REDIS_PASSWORD": "r3"}
    for service in ("history", "here"):
        for name, value in services[service]["environment"].items():
            monkeypatch.setenv(name, interpolated(value, given))
    settings = load_settings()
    assert (settings.forecast.train_weekly, settings.backup.nightly) == ("sun 03:00", "02:30")
    assert (settings.reports.daily, settings.reports.weekly) == ("05:00", "")
    assert settings.reports.webhook_url is not None
    assert settings.here.api_key is not None
    assert settings.here.api_key.get_secret_value() == "key"
    with_key = {name for name, service in services.items() if "HERE_API_KEY" in service.get("environment", {})}
    assert with_key == {"here"}


def test_volumes_are_declared_and_outlive_containers(services: dict[str, Any]) -> None:
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert mounted == set(declared) == {"kafka", "postgres", "models", "backups", "reports", "lake"}


def test_commands_in_compose_exist(services: dict[str, Any]) -> None:
    spoken = " ".join(" ".join(service["command"]) for service in services.values() if "command" in service)
    named = set(re.findall(r"\btrafficapp ([\w-]+)", spoken))
    assert {"migrate", "topics", "cameras", "simulate", "poll-here"} == named
    assert named <= COMMANDS


# ---------------------------------------------------------------------- Dockerfile


def test_the_image_installs_checked_packages_and_runs_without_root() -> None:
    stages = read("Dockerfile").split("\nFROM ")
    assert "--require-hashes -r /src/requirements/worker.txt" in stages[-2]
    assert re.search(r"^USER (?!root)\w+$", stages[-1], re.MULTILINE)
    assert "HEALTHCHECK" in stages[-1]


def test_the_image_can_back_up_the_server_of_compose_into_a_folder_of_its_own(services: dict[str, Any]) -> None:
    last = read("Dockerfile").split("\nFROM ")[-1]
    client, server = re.search(r"postgresql-client-(\d+)", last), services["postgres"]["image"]
    assert client is not None
    assert f"postgres:{client[1]}" == server, "pg_dump refuses a newer server"
    made = re.search(r"install --directory --owner=(\w+) --mode=\d+ ((?:.+\\\n)*.+)", last)
    assert made is not None
    assert re.search(rf"^USER {made[1]}$", last, re.MULTILINE)
    volumes = [*services["history"]["volumes"], *services["lake"]["volumes"]]
    folders = made[2].replace("\\\n", " ").split()
    assert set(folders) == {volume.split(":")[1] for volume in volumes}
    variables = ("FORECAST__MODELS_DIR", "BACKUP__FOLDER", "REPORTS__FOLDER")
    for folder, variable in zip(folders, variables, strict=False):
        assert f"TRAFFICAPP_{variable}={folder} " in last


def test_the_build_context_has_what_the_image_copies() -> None:
    allowed = {line.removeprefix("!") for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert set(copied) == allowed
    assert all((ROOT / source).exists() for source in copied)


# ---------------------------------------------------------------------- lock files


@pytest.mark.parametrize("name", ["worker", "run", "dev", "train"])
def test_locked_packages_have_hashes_and_no_addresses(name: str) -> None:
    entries = re.split(r"\n(?=\S)", read(f"requirements/{name}.txt").strip())[1:]
    assert len(entries) > 40
    for entry in entries:
        # one for each range of Pythons, where these need different versions
        assert _PINNED.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
        assert "//" not in entry


@pytest.mark.parametrize(
    ("name", "extras"),
    [("worker", ()), ("run", ("stack",)), ("dev", ("stack", "bench", "osm", "dev")), ("train", ("train",))],
)
def test_locks_hold_what_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads(read("pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    versions = locked(name)
    for requirement in map(Requirement, wanted):
        package = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert package in versions, f"{package} is not in requirements/{name}.txt: run make lock"
        assert versions[package] in requirement.specifier


def test_locks_agree() -> None:
    assert locked("worker").items() <= locked("run").items() <= locked("dev").items()
    training, tests = locked("train"), locked("dev")
    assert locked("worker").items() <= training.items()
    assert {name: training[name] for name in training.keys() & tests.keys()}.items() <= tests.items()


def test_a_first_run_of_the_tests_brings_nothing_to_train_with() -> None:
    assert "torch" in locked("train")
    for name in ("worker", "run", "dev"):
        assert not [package for package in locked(name) if re.match("torch|triton|nvidia|cuda", package)]


# ---------------------------------------------------------------------- documents


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_in_documents_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    code = " ".join(re.findall(r"`[^`\n]+`|```.*?```", read(document), re.DOTALL))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
    assert named or document.startswith("docs/")
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_variables_in_documents_exist(document: str) -> None:
    text = read(document)
    code = " ".join(re.findall(r"`[^`\n]+`|```.*?```", text, re.DOTALL))
    assert set(re.findall(r"(?<![\w/.])(?<!-A )trafficapp ([a-z][a-z-]*)\b", code)) <= COMMANDS
    assert set(re.findall(r"TRAFFICAPP_[A-Z_]*[A-Z]", text)) <= {*setting_variables(), *_OTHER_VARIABLES}


def test_every_finding_is_listed_and_pins_what_it_shows() -> None:
    scripts = sorted((ROOT / "findings").glob("*.sh"))
    assert set(re.findall(r"\]\(\.\./findings/(.*?)\)", read("docs/findings.md"))) == {path.name for path in scripts}
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        (packages,) = re.findall(r"^(?:.*/pip\"?) install -q (.*==.*)$", text, re.MULTILINE)[:1]
        assert all("==" in package for package in packages.split()), path.name
        assert not re.search(r"trafficapp|https?:", text), path.name


def test_links_in_documents_lead_somewhere() -> None:
    for path in [*map(ROOT.joinpath, DOCUMENTS), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
