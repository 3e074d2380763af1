"""Containers: what their files run is run here, and what they name exists."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import httpx
import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from netwright.cli import app
from netwright.client import Client
from netwright.processes import free_port
from service.settings import Settings
from tests.service.conftest import ROOT
from tests.service.house import wait_until

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "netwright"}
MANIFESTS = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "netwright.yaml").read_text()))
COMMANDS = set(get_command(app).commands)
SETTINGS = {f"NETWRIGHT_{name.upper()}" for name in Settings.model_fields}
CONTAINERS = [
    container
    for manifest in MANIFESTS
    if manifest["kind"] in ("Job", "Deployment")
    for container in manifest["spec"]["template"]["spec"]["containers"]
]


def plain(value):
    """A value of the compose file with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def test_docker_compose_accepts_the_file():
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True).returncode
        ):
            break
    else:
        pytest.skip("neither docker compose nor docker-compose is here")
    done = subprocess.run([*command, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Stack:
    """The services of the compose file as processes of this machine."""

    def __init__(self, url, folder):
        self.port, self.folder = free_port(), folder
        self.started = []
        (folder / "data").mkdir()
        (folder / "imports").mkdir()
        environment = {name: plain(value) for name, value in OURS["service"]["environment"].items()}
        mine = {
            "NETWRIGHT_DATABASE_URL": url,
            "NETWRIGHT_HOME": str(folder / "data"),
            "NETWRIGHT_IMPORT_DIR": str(folder / "imports"),
            "NETWRIGHT_PORT": str(self.port),
            "NETWRIGHT_HOST": "127.0.0.1",  # of a container it is every address; here this test's machine stays closed
        }
        assert mine.keys() <= environment.keys()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("NETWRIGHT_")}
        self.environment = {**kept, **environment, **mine}

    def run(self, words):
        """A command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "netwright", *words],
            env=self.environment, cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip

    def start(self, service):
        """The command of a service, its log in a file."""
        log = self.folder / f"{service}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "netwright", *OURS[service]["command"]],
                env=self.environment, cwd=ROOT, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return log

    def healthy(self, service):
        """Whether the health check of a service passes."""
        words = OURS[service]["healthcheck"]["test"]
        assert words[:2] == ["CMD", "netwright"]
        return self.run(words[2:]).returncode == 0

    def stop(self):
        for process in self.started:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


@pytest.fixture
def stack(place, tmp_path):
    stack = Stack(place("postgresql").database_url, tmp_path)
    yield stack
    stack.stop()


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_the_commands_of_the_services_on_this_machine(stack):
    refused = stack.run(OURS["service"]["command"])
    assert refused.returncode == 1 and "migrate" in refused.stderr
    first = stack.run(OURS["migrate"]["command"])
    (secret,) = re.findall(r"nw_[\w-]+", first.stdout)
    assert "nw_" not in stack.run(OURS["migrate"]["command"]).stdout
    assert not stack.healthy("service") and not stack.healthy("worker")
    logs = [stack.start("service"), stack.start("worker")]
    url = f"http://127.0.0.1:{stack.port}"
    with Client(url, secret) as client:
        wait_until(lambda: stack.healthy("service") and stack.healthy("worker"))
        assert client.ready().workers == 1
        client.supernets.add("digits")
    assert httpx.get(f"{url}/v1/supernets").status_code == 401
    assert httpx.get(f"{url}/metrics").status_code == 401
    scraped = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert 'netwright_http_request_seconds_count{method="POST",route="/v1/supernets"' in scraped.text
    time.sleep(0.1)
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines), log.read_text()
    access = [line for line in map(json.loads, logs[0].read_text().splitlines()) if line.get("path")]
    assert {"/v1/supernets"} <= {line["path"] for line in access}
    assert all(line["request_id"].startswith("req_") for line in access if line["path"] == "/v1/supernets")
    assert secret not in "".join(log.read_text() for log in logs)


@pytest.mark.postgres
def test_a_container_without_a_key_does_not_start(stack):
    without = {**stack.environment, "NETWRIGHT_REQUIRE_KEY": "false"}
    stack.environment, required = without, stack.environment
    assert "nw_" not in stack.run(["migrate"]).stdout
    stack.environment = required
    refused = stack.run(["serve"])
    assert refused.returncode == 1
    assert "NETWRIGHT_REQUIRE_KEY is set, and there is no key yet" in refused.stderr


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=[f"{m['kind']} {m['metadata']['name']}" for m in MANIFESTS]
)
def test_kubernetes_accepts_a_manifest(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_manifests_name_commands_settings_and_secrets_that_exist():
    assert {container["args"][0] for container in CONTAINERS} == {"migrate", "serve", "worker"} <= COMMANDS
    (settings,) = (manifest["data"] for manifest in MANIFESTS if manifest["kind"] == "ConfigMap")
    names = {variable["name"] for container in CONTAINERS for variable in container["env"]}
    assert settings.keys() | names <= SETTINGS
    for container in CONTAINERS:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
        for probe in ("livenessProbe", "readinessProbe"):
            words = container.get(probe, {}).get("exec", {}).get("command", ["netwright", "healthy"])
            assert words[0] == "netwright" and words[1] in COMMANDS


def test_probes_of_kubernetes_are_answered(client):
    probes = [
        container[name]["httpGet"]
        for container in CONTAINERS
        for name in ("livenessProbe", "readinessProbe")
        if "httpGet" in container.get(name, {})
    ]
    assert len(probes) == 2
    for probe in probes:
        headers = {header["name"]: header["value"] for header in probe["httpHeaders"]}
        assert client.get(probe["path"], headers=headers).status_code == 200
        assert client.get(probe["path"], headers={"Host": "10.0.0.7:8000"}).status_code == 403


def test_the_image_is_built_in_two_stages_and_does_not_run_as_root():
    text = (ROOT / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 2 and "COPY --from=build" in stages[1]
    assert "pip install" not in stages[1]
    assert re.findall(r"^USER (\w+)", stages[1], re.MULTILINE) == ["netwright"]
    assert stages[1].index("USER netwright") < stages[1].index("CMD")
    (words,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", stages[1], re.MULTILINE)
    assert json.loads(words)[1] in COMMANDS
