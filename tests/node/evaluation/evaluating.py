"""`evaluate` on a folder of reports that a test has said what is in."""

from __future__ import annotations

from pathlib import Path

from node.cli.main import main
from tests.node.evaluation.cohorts import Folder

GOOD, FAILURES, REFUSED = 0, 1, 2
CONFIGURATION = """\
version: 1
receiver: {{host: 127.0.0.1, peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}}}
storage: {{path: {path}, spare_segments: 0}}
"""
NODULE = "27925004 SCT"


def prepared(root: Path) -> Folder:
    """An empty folder of reports beside a configuration."""
    (root / "appliance.yaml").write_text(CONFIGURATION.format(path=root / "var"))
    return Folder(root)


def evaluate(folder: Folder, rows: list[str], *arguments: str, head: str = "") -> int:
    table = folder.reports.parent / "truth.csv"
    table.write_text("\n".join([head or "StudyInstanceUID,finding,label", *rows]) + "\n")
    cohort = [] if arguments and not arguments[0].startswith("-") else [str(folder.reports)]
    config = folder.reports.parent / "appliance.yaml"
    return main(["evaluate", *cohort, *arguments, "--truth", str(table), "--config", str(config)])
