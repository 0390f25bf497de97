"""docker-compose.yml: what must hold of it, read without an engine."""

import argparse
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from dashboards.__main__ import main
from evals.watch_command import arguments
from gateway.configuration import load

ROOT = Path(__file__).parents[3]
GATEWAY_IMAGE = ROOT / "images/gateway"
Json = dict[str, Any]

FILE: Json = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Json] = FILE["services"]
ASKED_FOR = {"queue", "trainer"}
"""What runs where its profile is asked for only."""
LASTING = sorted(set(SERVICES) - {"prepare"} - ASKED_FOR)
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?")
UNTRUSTED_NAMES = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")


def each(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", names)


def mounts(name: str) -> dict[str, tuple[str, str]]:
    """A service's named volumes: volume to target and mode."""
    found: dict[str, tuple[str, str]] = {}
    for text in SERVICES[name].get("volumes", []):
        volume, target, *mode = text.split(":")
        if volume.startswith("."):
            assert mode == ["ro"], f"{name} may write to the host's {volume}"
            continue
        found[volume] = (target, mode[0] if mode else "rw")
    return found


def test_it_is_what_the_compose_specification_allows() -> None:
    found = compose_spec.PyCompose.from_json(json.dumps(FILE))
    assert set(found.service_names()) == set(SERVICES)


def test_a_misspelt_key_would_be_noticed() -> None:
    broken = FILE | {"services": {"gateway": {"image": "x", "reed_only": True}}}
    with pytest.raises(ValueError, match="reed_only"):
        compose_spec.PyCompose.from_json(json.dumps(broken))


def test_the_services_are_the_stack() -> None:
    assert LASTING == ["gateway", "grafana", "prometheus", "redis", "vllm", "watch"]


@each(sorted(SERVICES))
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert int(service["user"].split(":")[0]) > 0
    assert any(line.startswith("/tmp:size=") for line in service["tmpfs"])  # noqa: S108  in the container


@each(sorted(SERVICES))
def test_a_service_cannot_eat_the_machine(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert SERVICES[name]["logging"]["options"].keys() == {"max-size", "max-file"}


@each(sorted(SERVICES))
def test_an_image_is_pinned_to_one_version(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


@each(sorted(SERVICES))
def test_a_service_names_only_what_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("networks", [])) <= FILE["networks"].keys()
    assert set(service.get("secrets", [])) <= FILE["secrets"].keys()
    assert mounts(name).keys() <= FILE["volumes"].keys()
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert ("networks" in service) != (service.get("network_mode") == "none")


@each([*LASTING, "queue"])
def test_a_lasting_service_has_a_health_check_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "start_period", "retries"} <= check.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


@each(sorted(SERVICES))
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
        assert "edge" in SERVICES[name]["networks"]


@each(sorted(SERVICES))
def test_a_secret_comes_as_a_file(name: str) -> None:
    for key in SERVICES[name].get("environment", {}):
        assert key.endswith("__FILE") or not UNTRUSTED_NAMES.search(key)
    assert all(set(secret) == {"file"} for secret in FILE["secrets"].values())


def test_secrets_lie_where_git_and_the_image_do_not_look() -> None:
    assert all(s["file"].startswith("./var/") for s in FILE["secrets"].values())
    assert "var/" in (ROOT / ".gitignore").read_text().splitlines()
    first = (GATEWAY_IMAGE / "Dockerfile.dockerignore").read_text().splitlines()[1]
    assert first == "*"


def test_vllm_can_be_reached_by_the_gateway_and_prometheus_alone() -> None:
    vllm = SERVICES["vllm"]
    assert "ports" not in vllm
    assert vllm["networks"] == ["engine"]
    assert FILE["networks"]["engine"] == {"internal": True}
    users = {
        name for name in SERVICES if "engine" in SERVICES[name].get("networks", [])
    }
    assert users == {"vllm", "gateway", "prometheus"}


def test_redis_can_be_reached_by_the_gateway_alone() -> None:
    assert "ports" not in SERVICES["redis"]
    assert FILE["networks"]["state"] == {"internal": True}
    users = {name for name in SERVICES if "state" in SERVICES[name].get("networks", [])}
    assert users == {"redis", "gateway"}


def test_only_edge_leads_outside() -> None:
    outside = {
        name for name, net in FILE["networks"].items() if not net.get("internal")
    }
    assert outside == {"edge"}
    assert all(
        "edge" not in SERVICES[name].get("networks", [])
        for name in SERVICES.keys() - {"gateway", "grafana"}
    )


def test_vllm_serves_adapters_that_come_and_go_with_a_bounded_grammar() -> None:
    vllm = SERVICES["vllm"]
    assert vllm["image"].startswith("vllm/vllm-openai:v0.32.")
    assert "--enable-lora" in vllm["command"]
    assert vllm["environment"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    name = "--structured-outputs-config="
    (config,) = (flag for flag in vllm["command"] if flag.startswith(name))
    assert json.loads(config.removeprefix(name))["backend"] == "guidance"


@each(["vllm", "trainer"])
def test_a_gpu_is_reserved(name: str) -> None:
    (device,) = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_vllm_reads_adapters_where_the_gateway_writes_them() -> None:
    overlay = tomllib.loads((GATEWAY_IMAGE / "compose.toml").read_text())
    path = overlay["registry"]["path"]
    assert mounts("gateway")["adapters"] == (path, "rw")
    assert mounts("vllm")["adapters"] == (path, "ro")
    assert f"--registry={path}" in SERVICES["prepare"]["command"]


def test_what_is_kept_is_written_by_the_gateway_and_read_by_the_watch_alone() -> None:
    overlay = tomllib.loads((GATEWAY_IMAGE / "compose.toml").read_text())
    path = overlay["keep"]["directory"]
    seen = {name: mounts(name)["kept"] for name in SERVICES if "kept" in mounts(name)}
    assert seen == {"gateway": (path, "rw"), "watch": (path, "ro")}
    assert f"10001 {path}" in (GATEWAY_IMAGE / "Dockerfile").read_text()


def test_the_watch_says_nothing_of_the_traffic_unless_it_is_told_what_is_kept() -> None:
    watch = SERVICES["watch"]
    assert watch["image"] == SERVICES["gateway"]["image"]
    assert watch["user"] == SERVICES["gateway"]["user"]
    assert watch["entrypoint"] == ["python", "-m", "evals", "watch"]
    parser = argparse.ArgumentParser()
    arguments(parser)
    given = [
        line.replace("${WASTEGATE_KEPT:-flawed}", "flawed") for line in watch["command"]
    ]
    options = parser.parse_args(given)
    assert options.kept == "flawed"
    assert [str(path) for path in options.where] == [mounts("watch")["kept"][0]]
    assert f"--watch=watch:{options.listen[1]}" in SERVICES["prepare"]["command"]
    assert set(watch["networks"]) <= set(SERVICES["prometheus"]["networks"])


def test_only_the_trainer_and_prepare_may_write_models() -> None:
    writers = {
        name for name in SERVICES if mounts(name).get("models", ("", ""))[1] == "rw"
    }
    assert writers == {"prepare", "trainer"}


def test_the_trainer_is_asked_for_and_reaches_its_queue_alone() -> None:
    assert all(SERVICES[name]["profiles"] == ["trainer"] for name in ASKED_FOR)
    assert all("profiles" not in SERVICES[name] for name in LASTING)
    assert FILE["networks"]["jobs"] == {"internal": True}
    users = {name for name in SERVICES if "jobs" in SERVICES[name].get("networks", [])}
    assert users == ASKED_FOR
    assert all(SERVICES[name]["networks"] == ["jobs"] for name in ASKED_FOR)


def test_the_trainer_does_jobs_from_its_queue_and_comes_back() -> None:
    trainer = SERVICES["trainer"]
    assert trainer["entrypoint"] == ["python", "-m", "training"]
    assert trainer["command"] == ["work"]
    assert trainer["environment"]["WASTEGATE_QUEUE"] == "redis://queue:6379/0"
    assert trainer["depends_on"]["queue"] == {"condition": "service_healthy"}
    assert trainer["restart"] == "unless-stopped"
    command = SERVICES["queue"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_volumes_have_their_owner_before_anybody_mounts_them() -> None:
    shared = {"adapters", "models", "trained", "observability"}
    assert mounts("prepare").keys() == shared
    done = {"condition": "service_completed_successfully"}
    for name in SERVICES.keys() - {"prepare"}:
        if mounts(name).keys() & shared:
            assert SERVICES[name]["depends_on"]["prepare"] == done
    made = (GATEWAY_IMAGE / "Dockerfile").read_text()
    assert all(target in made for target, _ in mounts("prepare").values())


def test_the_gateways_configuration_names_the_services(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[admin]\nkey_sha256 = ["a={"0" * 64}"]\n'
        f'[tenants.acme]\nkey_sha256 = ["{"1" * 64}"]\n'
    )
    settings = load([GATEWAY_IMAGE / "compose.toml", keys], {})
    assert settings.gateway.state == "redis://redis:6379/0"
    assert settings.engine.replicas == ("http://vllm:8000",)
    assert "--port=8000" in SERVICES["vllm"]["command"]
    assert (
        f"--served-model-name={settings.engine.served_model_name}"
        in (SERVICES["vllm"]["command"])
    )
    model = f"{settings.registry.base_path}/{settings.engine.base}"
    assert SERVICES["vllm"]["command"][0] == model
    published = {port.rpartition(":")[2] for port in SERVICES["gateway"]["ports"]}
    listening = (settings.gateway.listen, settings.gateway.admin_listen)
    assert published == {address.rpartition(":")[2] for address in listening}
    assert (
        "--max-loras=" + str(settings.engine.max_loras) in SERVICES["vllm"]["command"]
    )


def test_the_keys_are_the_last_word() -> None:
    configs = [
        line.removeprefix("--config=")
        for line in SERVICES["gateway"]["command"]
        if line.startswith("--config=")
    ]
    assert configs == [
        "/app/wastegate.toml",
        "/app/compose.toml",
        "/run/secrets/wastegate.toml",
    ]


def test_prepare_generates_what_prometheus_and_grafana_read(tmp_path: Path) -> None:
    command: list[str] = SERVICES["prepare"]["command"]
    own = [
        line
        for line in command
        if not line.startswith(("--out", "--registry", "--shipped"))
    ]
    assert "--out=/etc/wastegate" in command
    assert main([*own, f"--out={tmp_path}"]) == 0
    jobs = yaml.safe_load((tmp_path / "prometheus/prometheus.yml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in jobs["scrape_configs"]
    }
    assert targets == {
        "wastegate": ["gateway:8081"],
        "vllm": ["vllm:8000"],
        "wastegate-watch": ["watch:9109"],
    }
    below = "/etc/wastegate/"
    config = SERVICES["prometheus"]["command"][0].removeprefix("--config.file=")
    assert (tmp_path / config.removeprefix(below)).is_file()
    grafana = SERVICES["grafana"]["environment"]
    home = grafana["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (tmp_path / home.removeprefix(below)).is_file()
    provisioning = tmp_path / grafana["GF_PATHS_PROVISIONING"].removeprefix(below)
    (provider,) = yaml.safe_load(
        (provisioning / "dashboards/wastegate.yml").read_text()
    )["providers"]
    dashboards = provider["options"]["path"].removeprefix(below)
    assert (tmp_path / dashboards / "wastegate.json").is_file()


def dockerfile() -> list[str]:
    text = (GATEWAY_IMAGE / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_gateways_image_is_pinned_and_not_roots() -> None:
    bases = [line.split()[1] for line in dockerfile() if line.startswith("FROM ")]
    assert bases
    assert all(PINNED.fullmatch(base) and ":3.11." in base for base in bases)
    user = [line for line in dockerfile() if line.startswith("USER ")]
    assert user == ["USER " + SERVICES["gateway"]["user"]]
    assert any(line.startswith("HEALTHCHECK ") for line in dockerfile())


def test_the_gateways_image_holds_what_the_gateway_and_the_watch_need_only() -> None:
    copied = {
        source
        for line in dockerfile()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
        if not source.startswith("--")
    }
    packages = {path for path in copied if (ROOT / path / "__init__.py").is_file()}
    gateway = {"gateway", "routing", "adapters", "structured", "dashboards"}
    assert packages == gateway | {"evals"}
    for source in copied:
        assert (ROOT / source).exists(), f"{source} is copied and not there"
    let_in = (GATEWAY_IMAGE / "Dockerfile.dockerignore").read_text().splitlines()
    roots = {line[1:] for line in let_in if line.startswith("!")}
    assert all(any(f"{path}/".startswith(f"{r}/") for r in roots) for path in copied)
