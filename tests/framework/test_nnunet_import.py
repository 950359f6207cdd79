"""nnU-Net and TotalSegmentator folders become packages that compute what nnU-Net computes.

Needs the import environment with nnU-Net; run by its interpreter:
    .venv-import/bin/python -m pytest tests/framework/test_nnunet_import.py
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="PyTorch is not here: the nnU-Net importer is NOT tested")
pytest.importorskip(
    "nnunetv2", reason="nnU-Net is not here (models/IMPORT_NNUNET.md): its importer is NOT tested"
)

from models.importers.totalsegmentator import STRUCTURES
from models.registry import load_manifest
from node.domain.errors import ImportRefused
from node.importing import nnunet, parity
from node.importing.importer import Imported, ImportOptions, ImportRequest, import_model
from node.importing.nnunet_exported import Exported, export_network
from tests.framework.nnunet_folders import write_results
from tests.models.importers.nnunet_documents import old_plans, small_dataset, small_plans

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def _import(source: Path, out: Path, kind: str = "nnunet", **form: Any) -> Imported:
    stated = out.parent / "form.yaml"
    stated.write_text(yaml.safe_dump(form or {"version": "1.0.0"}))
    options = ImportOptions(form=stated, python=Path(sys.executable))
    return import_model(source, kind, out, options, lambda _: None)


def _is_exact(imported: Imported) -> None:
    for row in imported.draft.parity:
        assert row.logits.largest < 1e-3, row
        assert row.preprocessed is not None
        assert row.preprocessed.largest < 1e-4
        assert row.labels is not None
        assert row.labels.equal > 0.9999


def test_full_resolution_network_with_mirroring(tmp_path: Path) -> None:
    source = write_results(
        tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres",
        small_plans(),
        small_dataset(),
        "3d_fullres",
        mirror_axes=(0, 1),
    )
    imported = _import(source, tmp_path / "abdomen", licence="CC BY 4.0")
    _is_exact(imported)
    manifest = load_manifest(tmp_path / "abdomen")
    assert manifest.networks[0].windows.mirror_axes == (0, 1)
    assert manifest.source is not None
    assert manifest.source.licence == "CC BY 4.0"
    assert "fold_0/checkpoint_final.pth" in manifest.source.files
    card = (tmp_path / "abdomen" / "CARD.md").read_text()
    assert "nnUNetPredictor" in card
    assert "float16" in card


def test_plane_network_runs_slice_by_slice(tmp_path: Path) -> None:
    plans = small_plans(patch=(48, 32), spacing=(1.5, 1.5))
    source = write_results(tmp_path / "t__p__2d", plans, small_dataset(), "2d", mirror_axes=None)
    _is_exact(_import(source, tmp_path / "planes"))


def test_residual_encoder_with_turned_axes_and_two_folds(tmp_path: Path) -> None:
    plans = small_plans(
        network="ResidualEncoderUNet",
        scheme="ZScoreNormalization",
        transpose=(1, 0, 2),
        patch=(32, 16, 32),
        spacing=(1.5, 3.0, 1.5),
        reader="NibabelIOWithReorient",
    )
    source = write_results(
        tmp_path / "t__p__3d_fullres",
        plans,
        small_dataset(channel_names={"0": "T1"}),
        "3d_fullres",
        folds=("fold_0", "fold_1"),
        mirror_axes=None,
    )
    imported = _import(source, tmp_path / "brain")
    _is_exact(imported)
    assert [spec.name for spec in imported.manifest.networks] == ["fold_0", "fold_1"]
    assert imported.manifest.inputs.modalities == ("MR",)


def test_regions_on_thick_slices(tmp_path: Path) -> None:
    dataset = small_dataset(
        labels={"background": 0, "liver": [1, 2], "liver_tumour": 2}, regions_class_order=[1, 2]
    )
    plans = small_plans(patch=(8, 32, 32), spacing=(7.5, 1.2, 1.2))
    source = write_results(
        tmp_path / "t__p__3d_fullres", plans, dataset, "3d_fullres", mirror_axes=None
    )
    _is_exact(_import(source, tmp_path / "regions"))


def test_plan_before_2_2_gives_the_same_package(tmp_path: Path) -> None:
    source = write_results(
        tmp_path / "t__p__3d_fullres", old_plans(), small_dataset(), "3d_fullres", mirror_axes=None
    )
    imported = _import(source, tmp_path / "old")
    _is_exact(imported)
    assert any("before 2.2" in note for note in imported.draft.card.notes)


@pytest.mark.parametrize(("order", "back"), [(3, "linear"), (1, "nearest")])
def test_totalsegmentator_fast(tmp_path: Path, order: int, back: str) -> None:
    plans = small_plans(patch=(16, 24, 24), spacing=(3.0, 3.0, 3.0))
    plans["dataset_name"] = "Dataset297_TotalSegmentator_total_3mm_1559subj"
    names = {"background": 0} | {name: n for n, name in enumerate(STRUCTURES, start=1)}
    source = write_results(
        tmp_path / "Dataset297_TotalSegmentator_total_3mm_1559subj" / "t__p__3d_fullres",
        plans,
        small_dataset(labels=names),
        "3d_fullres",
        trainer="nnUNetTrainer_4000epochs_NoMirroring",
        mirror_axes=None,
    )
    imported = _import(
        source, tmp_path / "total", "totalsegmentator", input_order=order, labels_back=back
    )
    _is_exact(imported)
    manifest = imported.manifest
    assert manifest.results is not None
    assert [entry.value for entry in manifest.results.labels] == list(range(1, 118))
    assert manifest.networks[0].windows.overlap == pytest.approx(0.2)
    assert imported.draft.card.private_names == ("vertebrae_S1", "portal_vein_and_splenic_vein")


def test_float16_sums_reproduce_nnunet_unchanged(tmp_path: Path) -> None:
    source = write_results(
        tmp_path / "t__p__3d_fullres", small_plans(), small_dataset(), "3d_fullres",
        mirror_axes=None,
    )  # fmt: skip
    imported = _import(source, tmp_path / "half", accumulate="float16")
    note = imported.draft.parity[0].notes[1]
    share = float(note.split(": ")[1].split("%")[0])
    assert share > 99.99, note
    assert np.isfinite(imported.draft.parity[0].logits.largest)


def test_without_nnunet_the_network_is_compared_and_the_card_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(request: ImportRequest) -> Exported:
        exported = export_network(request)
        report = dict(exported.report)
        report["versions"] = {"torch": report["versions"]["torch"]}
        return replace(exported, outcome=replace(exported.outcome, report=report))

    monkeypatch.setattr(nnunet, "export_network", without)
    source = write_results(
        tmp_path / "t__p__3d_fullres",
        small_plans(),
        small_dataset(),
        "3d_fullres",
        folds=("fold_0", "fold_1"),
        mirror_axes=(0,),
    )
    imported = _import(source, tmp_path / "alone")
    assert all(row.logits.largest < 1e-3 for row in imported.draft.parity)
    card = (tmp_path / "alone" / "CARD.md").read_text()
    assert "nnU-Net is not installed here" in card
    assert "from the tests of the node only" in card


def test_blurred_normalisation_is_replaced_by_the_exact_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 2e-6)
    monkeypatch.setattr(parity, "RELATIVE_TOLERANCE", 0.0)
    source = write_results(
        tmp_path / "t__p__3d_fullres", small_plans(), small_dataset(), "3d_fullres",
        mirror_axes=None,
    )  # fmt: skip
    told: list[str] = []
    options = ImportOptions(python=Path(sys.executable))
    # This tolerance is near the last bit; what counts is that the exact graph was tried.
    with contextlib.suppress(ImportRefused):
        import_model(source, "nnunet", tmp_path / "exact", options, told.append)
    assert any("normalise in stages" in line for line in told)
