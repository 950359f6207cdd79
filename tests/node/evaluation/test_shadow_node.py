"""A second model in the shadow of the first: kept, never sent, and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydicom import dcmread

from models.phantoms.scanner import ScannerOptions, write_ct_series
from models.phantoms.trunk import TrunkOptions, simulate_trunk
from node.demo.pacs import SmallPacs
from node.packages import MODELS_FOLDER
from tests import dicom_factory
from tests.node.alerting.acute import package
from tests.node.evaluation.two_models import Two, TwoNode, two_models
from tests.node.serving import wait_for

GOOD, FAILURES = 0, 1


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[SmallPacs]:
    running = SmallPacs(tmp_path / "pacs")
    running.start()
    yield running
    running.stop()


def study(folder: Path, name: str, brightest: int, *, slices: int = 8) -> Path:
    """A CT whose brightest voxel says how sure the first model is."""
    hu = dicom_factory.cylinder(slices, 64, 64)
    hu[slices // 2, 30, 30] = brightest
    series = dicom_factory.ct_series(
        slices=slices,
        hu=hu.astype(np.int16),
        study_uid=dicom_factory.uid("shadow", name),
        series_uid=dicom_factory.uid("shadow", name, "series"),
    )
    for number, data_set in enumerate(series):
        (folder / name).mkdir(parents=True, exist_ok=True)
        data_set.InstitutionName = "North"
        data_set.save_as(folder / name / f"{number}.dcm", enforce_file_format=True)
    return folder / name


def packages_of_toys(folder: Path) -> Path:
    """The toy package, and a second one that is less easily convinced."""
    packages = package(folder / "models")
    second = packages / "bolder"
    shutil.copytree(packages / "acute", second)
    text = (second / "model.yaml").read_text()
    text = text.replace("name: acute\n", "name: bolder\n").replace("1.2.3", "2.0.0")
    text = text.replace(
        "tests.node.alerting.acute_pipeline", "tests.node.evaluation.bolder_pipeline"
    )
    (second / "model.yaml").write_text(text)
    return packages


def send(node: TwoNode, *folders: Path, limit_s: float = 60) -> list[str]:
    studies = [node.send(folder) for folder in folders]

    def is_over(study_uid: str) -> bool:
        open_ = {"waiting", "running"} & set(node.jobs(study_uid).values())
        return node.state(study_uid) == "ended" and not open_

    for study_uid in studies:
        assert wait_for(lambda uid=study_uid: is_over(uid), limit_s)  # type: ignore[misc]
    return studies


@pytest.mark.slow
def test_a_shadow_is_never_sent_and_its_agreement_is_shown(tmp_path: Path, pacs: SmallPacs) -> None:
    two = Two(
        folder=tmp_path,
        packages=packages_of_toys(tmp_path),
        first="acute",
        second="bolder",
        pacs_port=pacs.port,
    )
    images = tmp_path / "images"
    with two_models(two) as node:
        both, only, none, short = send(
            node,
            study(images, "both", 1900),
            study(images, "only", 1300),
            study(images, "none", 900),
            study(images, "short", 1900, slices=4),
        )
        # 90 % is found by both, 30 % by the first only, nothing by both; four slices by none.
        expected = {
            "both_positive": 1.0,
            "only_model": 1.0,
            "both_negative": 1.0,
            "not_compared": 1.0,
        }
        assert wait_for(lambda: node.metrics() == expected, 20), node.metrics()
        _agrees(node, (both, only, none, short))
        _evaluates(node, (both, only, none, short))
    models = {
        item.ManufacturerModelName
        for path in pacs.files()
        for item in dcmread(path).ContributingEquipmentSequence
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    }
    assert models == {"acute"}


def _agrees(node: TwoNode, studies: tuple[str, ...]) -> None:
    both, only, none, short = studies
    done = node.command("agreement", "acute", "bolder", "--json", "--days", "1")
    assert done.returncode == GOOD, done.stderr
    found = json.loads(done.stdout)
    assert found["versions"] == {"acute": ["1.2.3"], "bolder": ["2.0.0"]}
    embolism = next(one for one in found["findings"] if one["code"] == "59282003 SCT")
    pairs = {one["study"]: one["pair"] for one in embolism["studies"]}
    assert pairs == {
        both: "both positive",
        only: "only the first",
        none: "both negative",
        short: "not compared",
    }
    (why,) = embolism["not_compared"]
    assert why.startswith("acute not eligible: only 4 images"), why
    whole = embolism["groups"][0]
    assert (whole["agreement_hits"], whole["agreement_of"]) == (2, 3)
    # Cohen by hand: agreed 2/3, by chance (2/3)(1/3) + (1/3)(2/3) = 4/9.
    assert whole["kappa"] == pytest.approx(0.4)
    assert whole["positive_agreement"] == pytest.approx(2 / 3)
    # 2 pixels of 0.8 mm along both axes is 2.3 mm: one lesion.
    assert (whole["lesions_of_both"], whole["lesions_only_first"]) == (1, 1)
    (certainty,) = found["measurements"]
    assert certainty["measurement"] == "embolus: Certainty of Finding"
    assert (certainty["pairs"], certainty["bias"]) == (1, pytest.approx(-5.0))
    text = node.command("agreement", "acute", "bolder").stdout
    assert "positive by acute only" in text
    assert "1: acute not eligible: only 4 images" in text


def _evaluates(node: TwoNode, studies: tuple[str, ...]) -> None:
    """Both models against the truth, read from the running node."""
    both, only, none, short = studies
    table = node.folder / "truth.csv"
    lines = [
        f"{both},embolism,1",
        f"{only},embolism,1",
        f"{none},embolism,0",
        f"{short},embolism,1",
    ]
    table.write_text("\n".join(["StudyInstanceUID,finding,label", *lines]) + "\n")
    done = node.command("evaluate", "ledger", "--truth", str(table), "--json")
    assert done.returncode == GOOD, done.stderr
    found = {one["model"]: one["groups"][0] for one in json.loads(done.stdout)["evaluations"]}
    assert (found["acute"]["sensitivity_hits"], found["acute"]["sensitivity_of"]) == (2, 2)
    assert (found["bolder"]["sensitivity_hits"], found["bolder"]["sensitivity_of"]) == (1, 2)
    assert found["bolder"]["not_eligible"] == 1
    assert found["bolder"]["found_of_all_of"] == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_shipped_model_agrees_with_itself_under_another_name(
    tmp_path: Path, pacs: SmallPacs
) -> None:
    """A copy with another threshold that this study does not touch: same numbers, no bias."""
    packages = tmp_path / "models"
    shipped, copy = packages / "body_composition", packages / "body_composition_next"
    for target in (shipped, copy):
        shutil.copytree(MODELS_FOLDER / "body_composition", target)
    stated = yaml.safe_load((copy / "model.yaml").read_text())
    stated["name"] = copy.name
    stated["pipeline"] = f"models.{copy.name}.pipeline"
    own, stated["version"] = stated["version"], "99.0.0"
    stated["thresholds"]["metal_cm2"] = 5.0
    (copy / "model.yaml").write_text(yaml.safe_dump(stated))
    two = Two(
        folder=tmp_path,
        packages=packages,
        first=shipped.name,
        second=copy.name,
        pacs_port=pacs.port,
    )
    images = tmp_path / "images"
    phantom = simulate_trunk(2_000_100, TrunkOptions(matrix=256))
    write_ct_series(phantom, images / "whole", ScannerOptions())
    study(images, "short", 900, slices=4)
    with two_models(two) as node:
        send(node, *sorted(images.iterdir()), limit_s=240)
        done = node.command("agreement", shipped.name, copy.name, "--json")
        assert done.returncode == GOOD, done.stderr
        found = json.loads(done.stdout)
    whole = found["findings"][0]["groups"][0]
    assert (whole["both_positive"], whole["not_compared"]) == (1, 1)
    assert whole["kappa"] is None
    (why,) = found["findings"][0]["not_compared"]
    assert why.startswith(f"{shipped.name} not eligible: only 4 images")
    measured = {one["measurement"]: one for one in found["measurements"]}
    assert measured["L3 skeletal muscle: Area"]["pairs"] == 1
    assert all(one["bias"] == 0 for one in measured.values())
    names = {dcmread(path).SeriesDescription for path in pacs.files()}
    assert any(f"v{own}" in name for name in names)
    assert not any("v99.0.0" in name for name in names), "a shadow sends nothing"
