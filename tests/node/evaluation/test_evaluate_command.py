"""`evaluate` on reports: what counts, what does not, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom import dcmread

from dicom_sr.common import ResultInput
from dicom_sr.context import Predecessor
from dicom_sr.rejection_note import Note, Rejection, write_rejection_note
from inference.series import describe_study
from node.domain.finding import Status
from tests.dicom_factory import instances
from tests.dicom_sr.results import WHEN
from tests.node.evaluation import cohorts
from tests.node.evaluation.cohorts import Folder, Found, Said
from tests.node.evaluation.evaluating import FAILURES, GOOD, NODULE, REFUSED, evaluate, prepared


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return prepared(tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def labelled(folder: Folder) -> list[str]:
    """Five that were found or cleared, three that were not analysed, one that is not there."""
    said: list[tuple[str, str, Said, str]] = [
        ("tp1", "positive", Said(found=(Found(certainty=90),)), "North"),
        ("tp2", "positive", Said(found=(Found(certainty=60),)), "North"),
        ("fn", "positive", Said(), "South"),
        ("fp", "negative", Said(found=(Found(certainty=70),)), "South"),
        ("tn", "negative", Said(), "North"),
        ("ne", "positive", Said(status=Status.NOT_ELIGIBLE, reason="only 4 images"), "South"),
        ("failed", "negative", Said(status=Status.FAILED, reason="the worker died"), "South"),
        ("part", "negative", Said(status=Status.PARTIAL, reason="cut at the apex"), "South"),
    ]
    rows = [
        f"{folder.study(name, what, site=site).study_uid},{NODULE},{label}"
        for name, label, what, site in said
    ]
    return [*rows, f"1.2.3.4,{NODULE},positive"]


def test_what_was_not_analysed_counts_apart_and_never_as_negative(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, labelled(folder), "--json") == FAILURES
    (one,) = told(capsys)["evaluations"]
    whole = one["groups"][0]
    names = ("true_positive", "false_negative", "false_positive", "true_negative")
    assert [whole[name] for name in names] == [2, 1, 1, 1]
    names = ("done", "partial", "not_eligible", "failed", "unfinished", "absent")
    assert [whole[name] for name in names] == [5, 1, 1, 1, 0, 1]
    # Of all positive studies, the two that were not analysed were not found either.
    assert (whole["sensitivity_hits"], whole["sensitivity_of"]) == (2, 3)
    assert (whole["found_of_all_hits"], whole["found_of_all_of"]) == (2, 5)
    assert (whole["cleared_of_all_hits"], whole["cleared_of_all_of"]) == (1, 4)
    # 90 and 60 and nothing against 70 and nothing: (2 + 1.0 + 0.5) of 6 pairs.
    assert whole["auc"] == pytest.approx(3.5 / 6)
    reasons = {item["outcome"]: item["reason"] for item in one["not_analysed"]}
    assert reasons == {
        "not eligible": "only 4 images",
        "failed": "the worker died",
        "done in part": "cut at the apex",
        "no result": "the study is not in the cohort",
    }


def test_groups_come_from_the_headers_and_from_the_table(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{row},{'ct' if n % 2 else 'pet'}" for n, row in enumerate(labelled(folder))]
    head = "StudyInstanceUID,finding,label,arm"
    evaluate(folder, rows, "--json", "--by", "site,arm", head=head)
    (one,) = told(capsys)["evaluations"]
    counts = {group["group"]: group["studies"] for group in one["groups"]}
    assert counts == {
        "all": 9,
        "site: South": 5,
        "site: North": 3,
        "site: not stated": 1,
        "arm: pet": 5,
        "arm: ct": 4,
    }
    north = next(group for group in one["groups"] if group["group"] == "site: North")
    assert (north["sensitivity_hits"], north["sensitivity_of"]) == (2, 2)


def test_the_text_says_both_views_and_names_no_patient(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, labelled(folder), "--out", str(folder.images.parent / "out")) == 1
    printed = capsys.readouterr()
    assert "5 positive: 2 found, 1 missed, 2 not analysed; found of all 2/5 0.40" in printed.out
    assert "4 negative: 1 cleared, 1 falsely positive, 2 not analysed" in printed.out
    assert "1 failed: the worker died" in printed.out
    assert "intervals: 95 %; Wilson for shares, DeLong for AUC" in printed.out
    written = "".join(
        path.read_text()
        for path in (folder.images.parent / "out").iterdir()
        if path.suffix != ".png"
    )
    for text in (printed.out, printed.err, written):
        assert "P-tp1" not in text
        assert "Test" not in text


def test_files_hold_every_study_and_a_picture_of_the_curve(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.images.parent / "out"
    evaluate(folder, labelled(folder), "--out", str(out))
    with (out / "studies.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 9
    assert sorted(row["result"] for row in rows) == [""] * 4 + ["negative"] * 2 + ["positive"] * 3
    assert json.loads((out / "evaluation.json").read_text())["studies"] == 9
    with Image.open(out / "roc-nodules-27925004-SCT.png") as picture:
        colours = picture.convert("RGB").getcolors(100_000)
    assert colours is not None
    assert len(colours) > 3


def test_everything_analysed_is_0_also_with_a_study_that_is_rightly_not_eligible(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    good = folder.study("good", Said(found=(Found(),))).study_uid
    refused = folder.study("no", Said(status=Status.NOT_ELIGIBLE, reason="no chest")).study_uid
    rows = [f"{good},{NODULE},1", f"{refused},{NODULE},0"]
    assert evaluate(folder, rows) == GOOD


def test_a_rule_decides_instead_of_the_finding(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = labelled(folder)[:5]
    evaluate(folder, rows, "--json", "--positive", "Certainty of Finding >= 80")
    (one,) = told(capsys)["evaluations"]
    whole = one["groups"][0]
    # 90; 60 and nothing; 70 and nothing below 80.
    names = ("true_positive", "false_negative", "false_positive", "true_negative")
    assert [whole[name] for name in names] == [1, 2, 0, 2]


def test_a_result_without_the_number_of_a_rule_is_not_negative(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(certainty=None),))).study_uid
    two = folder.study("b", Said()).study_uid
    rows = [f"{one},{NODULE},1", f"{two},{NODULE},1"]
    evaluate(folder, rows, "--json", "--positive", "Certainty of Finding >= 80")
    printed = capsys.readouterr()
    whole = json.loads(printed.out)["evaluations"][0]["groups"][0]
    assert (whole["false_negative"], whole["without"]) == (1, 1)
    assert "--positive: no result holds a measurement 'Certainty of Finding'" in printed.err
    # Lower is more positive: nothing found says nothing about the number.
    evaluate(folder, rows, "--json", "--positive", "Diameter < 5")
    whole = told(capsys)["evaluations"][0]["groups"][0]
    assert (whole["false_negative"], whole["without"]) == (1, 1)


def test_lesions_are_found_by_their_place_in_mm(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    # Pixels of 1 mm, slices every 5 mm from z = 0; a pixel's centre is at 0.5.
    first = Found(slice=3, column=30.5, row=20.5, certainty=90)
    second = Found(slice=6, column=50.5, row=50.5, certainty=40)
    one = folder.study("a", Said(found=(first, second)))
    two = folder.study("b", Said(found=(Found(slice=1, column=10.5, row=10.5, certainty=70),)))
    rows = [
        f"{one.study_uid},{NODULE},positive,30,21,15,8",
        f"{one.study_uid},{NODULE},positive,10,10,35,8",
        f"{two.study_uid},{NODULE},negative,,,,",
    ]
    head = "StudyInstanceUID,finding,label,x_mm,y_mm,z_mm,diameter_mm"
    images = ("--images", str(folder.images))
    assert evaluate(folder, rows, "--json", *images, head=head) == GOOD
    whole = told(capsys)["evaluations"][0]["groups"][0]
    assert (whole["lesions_found"], whole["lesions"], whole["lesion_studies"]) == (1, 2, 2)
    assert whole["false_positives_per_study"] == 1.0
    assert whole["sensitivity_at_1_8"] == 0.5
    assert whole["sensitivity_at_8_reached"] is False
    # Without the images nobody knows where a pixel lies: it is said, not guessed.
    evaluate(folder, rows, "--json", head=head)
    whole = told(capsys)["evaluations"][0]["groups"][0]
    assert whole["lesions"] is None
    (why,) = whole["not_placed"]
    assert "the images are not here" in why


def test_lesions_are_found_on_an_image_without_the_images_at_hand(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(slice=3, column=30, row=20),)))
    head = "StudyInstanceUID,SOPInstanceUID,column,row,tolerance_mm"
    right, wrong = one.sop_instance_uids[3], one.sop_instance_uids[4]
    rows = [f"{one.study_uid},{right},33,17,1", f"{one.study_uid},{wrong},33,17,1"]
    evaluate(folder, rows, "--json", head=head)
    whole = told(capsys)["evaluations"][0]["groups"][0]
    assert (whole["lesions_found"], whole["lesions"]) == (1, 2)
    assert whole["false_positives_per_study"] == 0.0


def test_measured_values_are_compared_in_their_unit(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(diameter_mm=9.0),)))
    two = folder.study("b", Said(found=(Found(diameter_mm=12.0),)))
    head = "StudyInstanceUID,nodule 1: Diameter [mm]"
    rows = [f"{one.study_uid},8", f"{two.study_uid},13"]
    assert evaluate(folder, rows, "--json", head=head) == GOOD
    (found,) = told(capsys)["measurements"]
    assert (found["groups"][0]["bias"], found["groups"][0]["mean_absolute"]) == (0.0, 1.0)
    evaluate(folder, rows, head=head.replace("mm", "cm"))
    printed = capsys.readouterr().out
    assert "2 without nodule 1: Diameter (nodules): the table gives it in cm, the result" in printed


def test_a_model_that_is_about_something_else_does_not_look_as_if_it_missed_everything(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(),)), Said(model="fractures")).study_uid
    assert evaluate(folder, [f"{one},{NODULE},1"], "--json") == GOOD
    printed = capsys.readouterr()
    assert [each["model"] for each in json.loads(printed.out)["evaluations"]] == ["nodules"]
    assert f"note: fractures never speaks of '{NODULE}' and is left out" in printed.err
    evaluate(folder, [f"{one},{NODULE},1"], "--json", "--model", "fractures")
    whole = told(capsys)["evaluations"][0]["groups"][0]
    assert whole["false_negative"] == 1


def test_a_measurement_of_another_name_is_told_with_those_that_there_are(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(),)))
    head = "StudyInstanceUID,Volume [ml]"
    assert evaluate(folder, [f"{one.study_uid},8"], head=head) == FAILURES
    assert (
        "Volume [ml]: no result holds a measurement 'Volume'; the results hold: nodule 1: "
        "Certainty of Finding; nodule 1: Diameter" in capsys.readouterr().err
    )


def test_of_several_reports_the_one_that_replaces_the_others_counts(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(),)))
    (old,) = folder.reports.iterdir()
    rows = instances((folder.images / "a").iterdir())
    study = describe_study(rows, generation=2, completed_at=WHEN, confidence="test")
    before = Predecessor(
        study_uid=one.study_uid,
        series_uid="2.25.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid=old.stem,
        instance_number=1,
    )
    work = ResultInput(
        findings=cohorts._findings(one.series, Said()),
        study=study,
        series=one.series,
        context=cohorts.context(predecessor=(before,)),
    )
    newer = folder.save(work)
    evaluate(folder, [f"{one.study_uid},{NODULE},0"], "--json")
    assert told(capsys)["evaluations"][0]["groups"][0]["true_negative"] == 1
    # The newer one is rejected: nothing is left of the study, and that is no negative.
    note = write_rejection_note(
        dcmread(newer),
        (Predecessor(
            study_uid=one.study_uid, series_uid="2.25.1",
            sop_class_uid=before.sop_class_uid, sop_instance_uid=newer.stem, instance_number=2,
        ),),
        Note(rejection=Rejection.NOT_TO_BE_USED, reason="test", when=WHEN),
    )  # fmt: skip
    note.save_as(folder.reports / "note.dcm", enforce_file_format=True)
    old.unlink()
    assert evaluate(folder, [f"{one.study_uid},{NODULE},0"]) == REFUSED
    assert "no study of" in capsys.readouterr().err


def test_studies_may_be_named_by_their_accession_number(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.study("a", Said(found=(Found(),)), accession="A-7")
    head = "AccessionNumber,label"
    assert evaluate(folder, ["A-7,1"], "--json", head=head) == GOOD
    assert told(capsys)["evaluations"][0]["groups"][0]["true_positive"] == 1
    folder.study("b", Said(), accession="A-7")
    assert evaluate(folder, ["A-7,1"], head=head) == REFUSED
    assert "two studies of the cohort have the number A-7" in capsys.readouterr().err


def test_a_header_is_no_formula_in_a_spreadsheet(folder: Folder) -> None:
    one = folder.study("a", Said(found=(Found(certainty=-5.0),)), site="=HYPERLINK(0)").study_uid
    out = folder.images.parent / "out"
    evaluate(folder, [f"{one},{NODULE},1"], "--out", str(out))
    with (out / "studies.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["site"] == "'=HYPERLINK(0)"
    assert row["score"] == "-5.0"


def test_a_true_value_without_a_measurement_has_its_reason(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder.study("a", Said(found=(Found(diameter_mm=9.0),))).study_uid
    two = folder.study("b", Said(status=Status.FAILED, reason="out of memory")).study_uid
    head = "StudyInstanceUID,nodule 1: Diameter [mm]"
    assert evaluate(folder, [f"{one},8", f"{two},13"], head=head) == FAILURES
    told = "1 without nodule 1: Diameter (nodules): failed: out of memory"
    assert told in capsys.readouterr().out
