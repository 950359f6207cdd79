"""A package is tried by hand where it can do no harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.registry import load_manifest
from node.domain.errors import ModelError
from node.pipeline.holding import HoldingSettings
from node.trying import check_networks
from tests.node.packages import build_package


def test_a_sound_package_is_checked_and_a_strange_graph_named(tmp_path: Path) -> None:
    check_networks(load_manifest(build_package(tmp_path, "good")), HoldingSettings())
    strange = load_manifest(build_package(tmp_path, "strange", "strange_set", golden=False))
    with pytest.raises(ModelError, match="operator 'Teleport' of the set"):
        check_networks(strange, HoldingSettings())


def test_a_network_that_hangs_while_it_opens_is_stopped(tmp_path: Path) -> None:
    manifest = load_manifest(build_package(tmp_path, "good"))
    with pytest.raises(ModelError, match=r"opening its networks: .* took longer than 0 s"):
        check_networks(manifest, HoldingSettings(load_limit_s=0.0))


def test_a_pipeline_of_another_package_is_named_before_anything_is_opened(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "stray", pipeline="models.other.pipeline")
    with pytest.raises(ModelError, match="its digest does not cover it"):
        check_networks(load_manifest(folder), HoldingSettings())
