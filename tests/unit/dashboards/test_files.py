"""The generated files, as the programs that read them see them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from dashboards.__main__ import main
from dashboards.build import Site, files
from dashboards.grafana import dashboard
from dashboards.kinds import ADHERENCE, Alert, Record
from dashboards.rules import groups
from dashboards.watch_rules import SILENT
from evals import gates, watch, watch_command

HERE = Path(__file__).parent


def promtool(*arguments: str, where: Path) -> None:
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: install the Debian package prometheus"
    run = subprocess.run(  # noqa: S603  files that this test wrote, to a tool on PATH
        [tool, *arguments], cwd=where, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def loaded(name: str, site: Site | None = None) -> Any:
    return yaml.safe_load(files(site or Site())[name])


def panels() -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", dashboard()["panels"])


def test_promtool_accepts_the_configuration_and_the_rules(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    promtool("check", "config", "prometheus.yml", where=tmp_path / "prometheus")


def test_the_rules_say_what_they_should_of_given_series(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    where = tmp_path / "prometheus"
    shutil.copy(HERE / "rules.test.yml", where)
    promtool("test", "rules", "rules.test.yml", where=where)


def test_every_alert_has_a_case_in_the_rules_tests() -> None:
    cases = yaml.safe_load((HERE / "rules.test.yml").read_text())["tests"]
    tried = {
        each["alertname"]
        for case in cases
        for each in case.get("alert_rule_test", [])
        if each.get("exp_alerts")
    }
    alerts = {
        rule.alert
        for group in groups(ttft_p95=2.0)
        for rule in group.rules
        if isinstance(rule, Alert)
    }
    assert tried == alerts


def test_the_rule_file_says_what_the_rules_say() -> None:
    written = loaded("prometheus/rules.yml")["groups"]
    for group, had in zip(groups(ttft_p95=2.0), written, strict=True):
        assert had["name"] == group.name
        for rule, entry in zip(group.rules, had["rules"], strict=True):
            assert entry["expr"] == rule.expr
            if isinstance(rule, Record):
                assert entry["record"] == rule.record
            else:
                assert entry["alert"] == rule.alert
                assert entry["for"] == rule.lasts
                assert entry["labels"] == {"severity": rule.severity}
                assert entry["annotations"] == {
                    "summary": rule.summary,
                    "description": rule.description,
                }


def test_prometheus_scrapes_what_the_site_names() -> None:
    site = Site(gateways=("a:1", "b:2"), engines=("c:3",))
    jobs = loaded("prometheus/prometheus.yml", site)["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets == {"wastegate": ["a:1", "b:2"], "vllm": ["c:3"]}


def test_a_watch_is_scraped_where_there_is_one(tmp_path: Path) -> None:
    options = ["--watch=w:9109", "--watch=x:9109", f"--out={tmp_path}"]
    assert main(options) == 0
    text = (tmp_path / "prometheus/prometheus.yml").read_text()
    jobs = yaml.safe_load(text)["scrape_configs"]
    (watch,) = [job for job in jobs if job["job_name"] == "wastegate-watch"]
    assert watch["static_configs"] == [{"targets": ["w:9109", "x:9109"]}]
    promtool("check", "config", "prometheus.yml", where=tmp_path / "prometheus")
    assert "wastegate-watch" not in files(Site())["prometheus/prometheus.yml"]


def test_the_alert_in_the_wild_demands_what_the_gates_do() -> None:
    found = gates.load().gates["adherence"]
    assert found.at_least == ADHERENCE
    assert found.measure in watch.MEASURES
    assert SILENT >= 2 * watch_command.LONGEST


def test_a_slower_machine_gets_a_later_alert() -> None:
    text = files(Site(ttft_p95=30))["prometheus/rules.yml"]
    assert "wastegate:ttft:p95_5m > 30\n" in text


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_every_panel_reads_the_chosen_datasource() -> None:
    variables = cast("dict[str, Any]", dashboard()["templating"])["list"]
    assert variables[0]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": f"${{{variables[0]['name']}}}"}
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])


def test_every_panel_says_what_it_shows_in_a_unit_that_grafana_knows() -> None:
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith(".")
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in {"s", "percentunit", "reqps", "ops", "none"}
        exprs = " ".join(target["expr"] for target in panel["targets"])
        assert ("_seconds" in exprs or ":ttft:" in exprs) == (unit == "s")


def test_the_dashboard_can_be_loaded_by_grafana_12() -> None:
    model = json.loads(files(Site())["grafana/dashboards/wastegate.json"])
    assert model["schemaVersion"] == 41
    assert model["uid"] == "wastegate"
    assert "id" not in model


def test_grafana_is_told_where_prometheus_and_the_dashboard_are() -> None:
    site = Site(prometheus_url="http://prometheus:9090", dashboards_path="/d")
    below = "grafana/provisioning"
    (source,) = loaded(f"{below}/datasources/wastegate.yml", site)["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = loaded(f"{below}/dashboards/wastegate.yml", site)["providers"]
    assert provider["options"] == {"path": "/d"}


def test_written_files_are_current_until_one_of_them_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path)]
    assert main(["--check", *out]) == 1
    assert main(out) == 0
    assert main(["--check", *out]) == 0
    (tmp_path / "prometheus/rules.yml").write_text("groups: []\n")
    capsys.readouterr()
    assert main(["--check", *out]) == 1
    assert "rules.yml is not what this version generates" in capsys.readouterr().err
    assert not list(tmp_path.rglob(".*"))


def test_a_place_that_cannot_be_written_to_is_an_error_and_not_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file")]) == 1
    assert "must name a directory" in capsys.readouterr().err
