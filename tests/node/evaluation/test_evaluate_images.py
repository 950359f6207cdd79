"""`evaluate` on images: analysed as `run` does it, patient by patient; nothing ends the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from node.cli.main import main
from node.evaluation.cohort import Case
from node.evaluation.from_reports import ReportCohort
from tests import dicom_factory
from tests.node.evaluation.cohorts import Folder, Found, Said
from tests.node.evaluation.evaluating import CONFIGURATION as REPORTS_ONLY
from tests.node.evaluation.test_shadow_node import packages_of_toys
from tests.node.evaluation.two_models import Two, command, configure

GOOD, FAILURES = 0, 1


def study(folder: Path, name: str, brightest: int, *, slices: int = 8) -> str:
    """A CT of one patient; returns its UID."""
    hu = dicom_factory.cylinder(slices, 64, 64)
    hu[slices // 2, 30, 30] = brightest
    study_uid = dicom_factory.uid("run", name)
    series = dicom_factory.ct_series(
        slices=slices,
        hu=hu.astype(np.int16),
        study_uid=study_uid,
        series_uid=dicom_factory.uid("run", name, "series"),
        patient=dicom_factory.Person(patient_id=f"RUN-{name}"),
    )
    (folder / name).mkdir(parents=True)
    for number, data_set in enumerate(series):
        data_set.StationName = "CT1" if brightest > 1000 else "CT2"
        data_set.save_as(folder / name / f"{number}.dcm", enforce_file_format=True)
    return study_uid


@pytest.mark.slow
def test_images_are_analysed_and_read_back_the_same_later(tmp_path: Path) -> None:
    two = Two(
        folder=tmp_path,
        packages=packages_of_toys(tmp_path),
        first="acute",
        second="bolder",
        pacs_port=1,
    )
    configure(two)
    images, out = tmp_path / "images", tmp_path / "out"
    labels = {
        study(images, "found", 1900): "positive",
        study(images, "missed", 900): "positive",
        study(images, "clear", 950): "negative",
        study(images, "short", 1900, slices=4): "positive",
        study(images, "broken", 1900): "positive",
    }
    unlisted = study(images, "unlisted", 1900)
    # Its pixels are cut off in one slice: a failure, of this study alone.
    cut = images / "broken" / "3.dcm"
    cut.write_bytes(cut.read_bytes()[:-3000])
    (images / "notes.txt").write_text("no image")
    table = tmp_path / "truth.csv"
    lines = [f"{uid},embolism,{label}" for uid, label in labels.items()]
    table.write_text("\n".join(["StudyInstanceUID,finding,label", *lines]) + "\n")
    arguments = ("--truth", str(table), "--json", "--model", "acute", "--by", "scanner")
    done = command(tmp_path, "evaluate", str(images), *arguments, "--out", str(out))
    assert done.returncode == FAILURES, done.stderr
    assert "\r" not in done.stderr
    found = json.loads(done.stdout)
    (one,) = found["evaluations"]
    groups = {group["group"]: group for group in one["groups"]}
    whole = groups["all"]
    names = ("true_positive", "false_negative", "true_negative", "not_eligible", "failed")
    assert [whole[name] for name in names] == [1, 1, 1, 1, 1]
    assert groups["scanner: Vigie tests Factory CT2"]["studies"] == 2
    reasons = {item["outcome"]: item["reason"] for item in one["not_analysed"]}
    assert reasons["not eligible"].startswith("only 4 images")
    assert "cut off" in reasons["failed"]
    assert unlisted not in done.stdout
    kept = {path.parent.name for path in (out / "results" / "acute").rglob("*.dcm")}
    assert kept == set(labels)
    # The reports alone say all of it again, the refusal and the failure too.
    again = command(tmp_path, "evaluate", str(out / "results"), *arguments)
    (same,) = json.loads(again.stdout)["evaluations"]
    for name in (*names, "auc", "sensitivity"):
        assert same["groups"][0][name] == whole[name]
    assert {i["reason"] for i in same["not_analysed"]} == set(reasons.values())


def test_an_interrupted_run_is_evaluated_and_the_rest_is_named_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "appliance.yaml").write_text(REPORTS_ONLY.format(path=tmp_path / "var"))
    folder = Folder(tmp_path)
    uids = [folder.study(name, Said(found=(Found(),))).study_uid for name in ("a", "b")]
    table = tmp_path / "truth.csv"
    table.write_text("StudyInstanceUID,label\n" + "".join(f"{uid},1\n" for uid in uids))
    whole = ReportCohort.cases

    def interrupted(self: ReportCohort, wanted: object) -> Iterator[Case]:
        yield next(iter(whole(self, wanted)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(ReportCohort, "cases", interrupted)
    config = ["--config", str(tmp_path / "appliance.yaml")]
    code = main(["evaluate", str(folder.reports), "--truth", str(table), *config])
    printed = capsys.readouterr()
    assert code == FAILURES
    assert "2 studies with a label: 1 done, 1 unfinished" in printed.out
    assert "1 unfinished: interrupted before it was looked at" in printed.out
    assert "the rest is unfinished" in printed.err
