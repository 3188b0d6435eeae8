"""Prometheus's rules and Grafana's dashboard in `deploy`: they fit the metrics that the program exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opsconsole.http.metrics import METRICS, Kind
from tests.conftest import Installing
from tests.http.client import served
from tests.packs import counting

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus-rules.yaml"
GRID_COLUMNS = 24
OF_EVERY_SERIES = {"instance", "job", "le"}

SCENARIO = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'opsconsole_build_info{{job="opsconsole",instance="a"}}', values: '1x90'}}
      - {{series: 'opsconsole_leader_present{{job="opsconsole",instance="a"}}', values: '1x10 0x80'}}
      - {{series: 'opsconsole_leader_present{{job="opsconsole",instance="b"}}', values: '1x10 0x80'}}
      - {{series: 'opsconsole_job_last_good_run_timestamp_seconds{{job="game.lives",instance="a"}}', values: '0x90'}}
      - {{series: 'opsconsole_job_max_age_seconds{{job="game.lives",instance="a"}}', values: '1800x90'}}
      - {{series: 'opsconsole_job_last_good_run_timestamp_seconds{{job="paused.one",instance="a"}}', values: '0x90'}}
      - {{series: 'opsconsole_job_max_age_seconds{{job="paused.one",instance="a"}}', values: '1800x90'}}
      - {{series: 'opsconsole_job_paused{{job="paused.one",instance="a"}}', values: '1x90'}}
      - {{series: 'opsconsole_alerts{{severity="critical",state="firing",instance="a"}}', values: '0x10 2x80'}}
    alert_rule_test:
      - {{eval_time: 9m, alertname: OpsconsoleNoLeader}}
      - eval_time: 20m
        alertname: OpsconsoleNoLeader
        exp_alerts:
          - exp_labels: {{severity: critical}}
            exp_annotations:
              summary: "No process leads: nothing is scheduled"
              description: "`opsconsole check` lists what keeps a process from leading."
      - eval_time: 20m
        alertname: OpsconsoleAlertsFiring
        exp_alerts:
          - exp_labels: {{severity: critical}}
            exp_annotations:
              summary: "2 alerts of opsconsole fire that nobody has acknowledged"
              description: "`opsconsole alerts` lists them; `opsconsole ack` acknowledges one."
      - eval_time: 60m
        alertname: OpsconsoleResultsTooOld
        exp_alerts:
          - exp_labels: {{severity: warning, job: game.lives}}
            exp_annotations:
              summary: "The last good run of game.lives ended 1h 0m 0s ago"
              description: "`opsconsole why game.lives` explains its last scheduled time."
"""
"""Two replicas of which none leads from minute 10 on, and a job that has not run since minute 0."""


def promtool(*words: str, stdin: bytes = b"") -> None:
    """Runs promtool, which has to accept what it is given."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; on Debian it is in the package prometheus")
    done = subprocess.run(["promtool", *words], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Of the dashboard, with a value for each of its variables."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [each.replace("$__rate_interval", "5m").replace("$job", ".*") for each in found]


def rules() -> list[str]:
    """The expressions of the alert rules."""
    groups = msgspec.yaml.decode(RULES.read_bytes())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def exported() -> dict[str, set[str]]:
    """The series that Prometheus stores, with their labels."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {f"{metric.full_name}{suffix}": set(metric.labels) | OF_EVERY_SERIES for suffix in suffixes}
    return found


def test_rules_and_dashboard_use_exported_metrics_and_their_labels() -> None:
    series, found = exported(), (*expressions(), *rules())
    assert found
    for expression in found:
        for name, labels in re.findall(r"\b(opsconsole_\w+)(?:\{([^}]*)\})?", expression):
            assert name in series, expression
            assert set(re.findall(r"(\w+)=", labels)) <= series[name], expression
        grouped = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in group.split(", ")}
        used = {name for name in series if name in expression}
        assert grouped <= set().union(*(series[name] for name in used)), expression


def test_every_panel_has_its_own_place_and_data() -> None:
    document = dashboard()
    everything = document["panels"]

    assert len({panel["id"] for panel in everything}) == len(everything)
    assert {variable["name"] for variable in document["templating"]["list"]} == {"datasource", "job"}
    for one, other in combinations((panel["gridPos"] for panel in everything), 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert is_beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for panel in panels():
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= GRID_COLUMNS
        assert panel["datasource"]["uid"] == "${datasource}"
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        assert panel["title"]


def test_promtool_accepts_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO.format(rules=RULES))
    of_dashboard = tmp_path / "dashboard.yaml"
    recorded = [{"record": f"panel:{n}", "expr": expression} for n, expression in enumerate(expressions())]
    of_dashboard.write_bytes(msgspec.yaml.encode({"groups": [{"name": "dashboard", "rules": recorded}]}))

    promtool("check", "rules", str(RULES), str(of_dashboard))
    promtool("check", "config", "--syntax-only", str(DEPLOY / "prometheus.yaml"))
    promtool("test", "rules", str(scenario))


def test_promtool_accepts_the_metrics(installing: Installing, tmp_path: Path, redis_url: str) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, {"asha": "fine", "ben": "raises"})
    with served(place) as client:
        client.get("/metrics")  # counters begin with the first scrape
        place.run("counting.count", "2026-01-19")
        response = client.get("/metrics")

    assert b'opsconsole_runs_total{job="counting.count",state="partial"} 1.0' in response.body
    assert response.status == 200
    promtool("check", "metrics", stdin=response.body)
