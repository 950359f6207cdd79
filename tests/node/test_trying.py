"""A package is tried by hand where it can do no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.registry import load_manifest
from node.domain.errors import ModelError
from node.pipeline.holding import HoldingSettings
from node.trying import check_networks
from tests.node.packages import build_package, store_golden


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


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (self._marker,))  # type: ignore[return-value]


@pytest.mark.parametrize("role", ["inputs", "expected"])
def test_a_golden_case_that_would_run_code_is_refused_and_never_unpickled(
    tmp_path: Path, role: str
) -> None:
    folder, marker = build_package(tmp_path, "armed"), tmp_path / "run"
    store_golden(folder, role, net=np.array([Bomb(marker)], dtype=object))
    with pytest.raises(ModelError, match=f"{role}.npz: 'net' holds Python objects, which are not"):
        check_networks(load_manifest(folder), HoldingSettings())
    assert not marker.exists()
    with np.load(folder / "golden" / f"{role}.npz", allow_pickle=True) as arrays:
        arrays["net"]
    assert marker.exists(), "the test itself was without a bite"


ZEROS = np.zeros((4, 1, 16, 16), np.float32)


@pytest.mark.parametrize(
    ("role", "arrays", "told"),
    [
        ("inputs", {"other": ZEROS}, r"no golden array of network net \('net'\)"),
        ("inputs", {"net": ZEROS[..., :8]}, r"holds shape \(4, 1, 16, 8\) for 'image', model.yaml"),
        ("inputs", {"net": ZEROS[:0]}, "empty golden array"),
        ("inputs", {"net": np.array(1.0)}, r"holds shape \(\) for 'image'"),
        ("inputs", {"net": ZEROS.astype(str)}, "holds str.*, no real numbers"),
        ("expected", {"net": ZEROS}, r"for 'logits', model.yaml says \(batch, 2, 16, 16\)"),
        ("expected", {"net": np.zeros((3, 2, 16, 16))}, "the same batch for all"),
        ("expected", {"net": ZEROS[0, 0, 0], "net_at": np.arange(15)}, "names values that the"),
        ("expected", {"net": ZEROS[0, 0, 0], "net_at": np.arange(2033, 2049)}, "names values that"),
        ("expected", {"net": ZEROS[0, 0, 0], "net_at": np.arange(16) / 2}, "names values that the"),
    ],
)
def test_golden_arrays_that_are_not_as_stated_are_named_by_the_check(
    tmp_path: Path, role: str, arrays: dict[str, Any], told: str
) -> None:
    folder = build_package(tmp_path, "odd")
    store_golden(folder, role, **arrays)
    with pytest.raises(ModelError, match=told):
        check_networks(load_manifest(folder), HoldingSettings())


def test_a_sample_of_the_expected_values_is_checked_as_well(tmp_path: Path) -> None:
    folder = build_package(tmp_path, "sampled")
    store_golden(folder, "expected", net=ZEROS[0, 0, 0], net_at=np.arange(2032, 2048))
    check_networks(load_manifest(folder), HoldingSettings())
