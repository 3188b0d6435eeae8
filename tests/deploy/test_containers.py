"""The files for containers in `deploy`: their structure, and their commands as processes of this machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opsconsole.core.signals import WATCH_SECONDS
from opsconsole.embedded.redis import find_server
from tests.conftest import Installing
from tests.http.client import served
from tests.installation import is_at_work
from tests.services import PrivatePostgres, find_postgres, free_port
from tests.waiting import PATIENCE_SECONDS, eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = "/run/secrets"


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A section without keys that nobody reads."""


class Healthcheck(Strict):
    test: list[str]
    interval: str
    timeout: str
    retries: int
    start_period: str = ""


class Build(Strict):
    context: str
    dockerfile: str


class Condition(Strict):
    condition: str


class Service(Strict):
    image: str
    command: list[str] = []
    build: Build | None = None
    environment: dict[str, str] = {}
    secrets: list[str] = []
    volumes: list[str] = []
    ports: list[str] = []
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    depends_on: dict[str, Condition] = {}
    healthcheck: Healthcheck | None = None
    init: bool = False
    read_only: bool = False
    restart: str = "no"
    stop_grace_period: str = "10s"


class SecretFile(Strict):
    file: str


class Compose(Strict):
    name: str
    services: dict[str, Service]
    secrets: dict[str, SecretFile]
    volumes: dict[str, dict[str, Any]]


def compose() -> Compose:
    return msgspec.yaml.decode((DEPLOY / "compose.yaml").read_bytes(), type=Compose)


def kubernetes() -> dict[str, Any]:
    """The objects by kind."""
    documents = re.split(r"^---$", (DEPLOY / "kubernetes.yaml").read_text(), flags=re.MULTILINE)
    return {each["kind"]: each for each in map(msgspec.yaml.decode, documents)}


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text.removesuffix("s"))


def test_all_files_that_the_compose_file_names_exist() -> None:
    found = compose()

    for service in found.services.values():
        assert set(service.secrets) <= set(found.secrets)
        assert set(service.depends_on) <= set(found.services)
        assert {volume.partition(":")[0] for volume in service.volumes} <= set(found.volumes)
        if service.build is not None:
            assert (DEPLOY / service.build.context / service.build.dockerfile).is_file()
        for name, value in service.environment.items():
            if name.endswith("_FILE"):
                assert value.removeprefix(f"{SECRETS}/") in service.secrets
    program = found.services["opsconsole"]
    assert seconds(program.stop_grace_period) > WATCH_SECONDS
    assert program.init
    assert all(port.startswith("127.0.0.1:") for port in program.ports)


def test_the_two_replicas_are_probed_without_the_database_deciding_whether_they_live() -> None:
    objects = kubernetes()
    template = objects["Deployment"]["spec"]["template"]
    pod = template["spec"]
    container = pod["containers"][0]

    assert set(objects) == {"Deployment", "Service", "PodDisruptionBudget"}
    assert objects["Deployment"]["spec"]["replicas"] == 2
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"] == template["metadata"]["labels"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["exec"]["command"] == ["opsconsole-probe", "/readyz"]
    assert pod["terminationGracePeriodSeconds"] > WATCH_SECONDS
    assert pod["shareProcessNamespace"], "something must collect the processes that jobs leave behind"
    assert pod["enableServiceLinks"] is False, "OPSCONSOLE_PORT would be refused as a setting"
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_the_image_has_what_the_files_use() -> None:
    lines = (DEPLOY / "Containerfile").read_text()
    ignored = (DEPLOY.parent / ".dockerignore").read_text().splitlines()

    for source in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", lines, re.MULTILINE):
        for name in source.split():
            assert (DEPLOY.parent / name).exists()
            assert f"!{name}" in ignored
    assert f"USER {kubernetes()['Deployment']['spec']['template']['spec']['securityContext']['runAsUser']}:" in lines
    assert "deploy/probe.py /usr/local/bin/opsconsole-probe" in lines


def test_secrets_are_created_once_in_a_private_folder(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "create-secrets.sh", tmp_path)

    first = subprocess.run([script], capture_output=True, text=True, check=False)
    second = subprocess.run([script], capture_output=True, text=True, check=False)

    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert second.returncode == 1
    assert "exists" in second.stderr
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name for file in folder.iterdir()} == set(compose().secrets)
    password = (folder / "postgres_password").read_text().strip()
    assert len(password) == 64
    assert f":{password}@postgres:5432/ops" in (folder / "database_url").read_text()


def probe(path: str, address: str, **environ: str) -> subprocess.CompletedProcess[str]:
    everything = {"PATH": os.environ["PATH"], "PROBE_URL": address, **environ}
    command = [sys.executable, "-I", str(DEPLOY / "probe.py"), path]
    return subprocess.run(command, env=everything, capture_output=True, text=True, check=False)


def test_the_probe_of_a_stand_by_succeeds_and_names_what_is_wrong(
    installing: Installing, tmp_path: Path, redis_url: str
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"CRON_SECRET": "a-secret-of-this-test", "OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    (tmp_path / "secret").write_text("a-secret-of-this-test\n")
    file = {"CRON_SECRET_FILE": str(tmp_path / "secret")}
    with served(place) as client:
        assert probe("/healthz", client.address).returncode == 0
        assert probe("/readyz", client.address).returncode == 1
        unled = probe("/readyz", client.address, **file)
        assert (unled.returncode, unled.stderr) == (1, "no process is leading yet\n")
        other = installing(
            database_url=place.environ["DATABASE_URL"], redis_url=redis_url, packs="tests.packs.counting"
        )
        with other.leading() as engine:
            eventually(lambda: is_at_work(engine), "another process leads")
            assert probe("/readyz", client.address, **file).returncode == 0
    assert probe("/healthz", client.address).returncode == 1


@dataclass
class Machine:
    """This machine in place of the containers: what stands in for the names, paths and ports in their files."""

    replaced: dict[str, str]
    environ: dict[str, str]

    def words(self, command: list[str]) -> list[str]:
        return [self.text(word) for word in command]

    def text(self, text: str) -> str:
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text

    def environment(self, service: Service) -> dict[str, str]:
        given = {name: self.text(value) for name, value in service.environment.items()}
        return self.environ | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"} | given

    def run(self, service: Service) -> None:
        """Runs a service to its end."""
        subprocess.run(["opsconsole", *self.words(service.command)], env=self.environment(service), check=True)

    @contextmanager
    def running(self, command: list[str], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)

    def is_healthy(self, service: Service, programs: dict[str, list[str]]) -> bool:
        """Whether the health check of a service succeeds."""
        assert service.healthcheck is not None
        kind, program, *arguments = service.healthcheck.test
        assert kind == "CMD"
        command = [*programs.get(program, [program]), *self.words(arguments)]
        environ = self.environment(service)
        return subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 0


@pytest.mark.soak
def test_the_services_of_the_compose_file_start_and_are_healthy(tmp_path: Path) -> None:
    services = compose().services
    subprocess.run([shutil.copy(DEPLOY / "create-secrets.sh", tmp_path)], check=True)
    secrets = tmp_path / "secrets"
    port, redis_port = free_port(), free_port()
    home = {name: str(tmp_path / name.lower()) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    machine = Machine(
        {SECRETS: str(secrets), "redis:6379": f"127.0.0.1:{redis_port}", "0.0.0.0:8080": f"127.0.0.1:{port}"},
        home | {"PROBE_URL": f"http://127.0.0.1:{port}"},
    )
    with ExitStack() as stack:
        server = stack.enter_context(PrivatePostgres())
        (secrets / "database_url").write_text(server.new_database().replace("+psycopg", ""))
        postgres = [str(find_postgres() / "pg_isready"), "--host=127.0.0.1", f"--port={server.port}"]
        assert machine.is_healthy(services["postgres"], {"pg_isready": postgres})

        program, *options = services["redis"].command
        assert program == "redis-server"
        redis = [str(find_server()), "--port", str(redis_port), "--dir", str(tmp_path), *options]
        stack.enter_context(machine.running(redis, {}, tmp_path / "redis.log"))
        cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
        if cli is not None:
            ping = {"redis-cli": [cli, "-p", str(redis_port)]}
            eventually(lambda: machine.is_healthy(services["redis"], ping), "Redis is healthy")

        machine.run(services["migrate"])
        service = services["opsconsole"]
        command = ["opsconsole", *machine.words(service.command)]
        log = tmp_path / "opsconsole.log"
        process = stack.enter_context(machine.running(command, machine.environment(service), log))
        probes = {"opsconsole-probe": [sys.executable, "-I", str(DEPLOY / "probe.py")]}
        eventually(lambda: machine.is_healthy(service, probes) or process.poll() is not None, "it is healthy")
        secret = {"CRON_SECRET_FILE": str(secrets / "cron_secret")}
        address = f"http://127.0.0.1:{port}"
        eventually(lambda: probe("/readyz", address, **secret).returncode == 0, "it leads and reaches everything")
        assert probe("/readyz", address).returncode == 1, "the secret is required"
    assert (secrets / "cron_secret").read_text().strip() not in log.read_text()
