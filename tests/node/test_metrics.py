"""What Prometheus is asked to watch is really there, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from node.ledger import Ledger
from node.metrics import Metrics

RULES = Path(__file__).resolve().parents[2] / "config" / "prometheus_rules.yaml"


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    ledger = Ledger(tmp_path)
    made = Metrics()
    made.watch(ledger, tmp_path)
    yield made
    ledger.close()


def test_the_backlog_of_the_index_and_retired_segments_are_gauges(metrics: Metrics) -> None:
    metrics.watch_store(lambda: 7, lambda: 2)
    text = metrics.text().decode()
    assert "vigie_index_backlog 7.0" in text
    assert "vigie_segments_retired 2.0" in text


def test_every_rule_watches_a_metric_of_this_node_and_has_a_remedy(metrics: Metrics) -> None:
    metrics.watch_store(lambda: 0, lambda: 0)
    known = set(re.findall(r"# TYPE (\w+)", metrics.text().decode()))
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 4
    for rule in rules:
        watched = set(re.findall(r"vigie_\w+", rule["expr"]))
        assert watched
        assert watched <= known, rule["alert"]
        assert rule["annotations"]["remedy"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")
