"""A folder with a model.yaml and an ONNX file, no Python, in a real node: `python -m node run`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from tests.dicom_factory import ct_series, dx_instance, uid, write
from tests.inference.builtin.examples import package
from tests.inference.builtin.made import AIR, ball, trunk
from tests.inference.builtin.site import Run, run_node, site

pytestmark = pytest.mark.slow
#: Messages that are a limit of a validator of 2022, not a fault of the object.
KNOWN = re.compile(r"Type 2C Conditional Element=<Laterality>")


def scanned(folder: Path, voxels: np.ndarray, **options: Any) -> Path:
    """A CT of these values, 4 mm along slices and 2.5 mm in them."""
    slices, rows, columns = voxels.shape
    series = ct_series(
        slices=slices,
        rows=rows,
        columns=columns,
        spacing_mm=4.0,
        pixel_mm=(2.5, 2.5),
        hu=voxels,
        **options,
    )
    write(series, folder)
    return folder


def validated(run: Run) -> None:
    """dciodvfy finds no error in any object."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed")
    for path in (path for paths in run.files.values() for path in paths):
        done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        errors = [line for line in said if line.startswith("Error") and not KNOWN.search(line)]
        assert errors == [], path


def items(report: Dataset, value_type: str) -> Iterator[Dataset]:
    for child in report.get("ContentSequence", ()):
        if child.ValueType == value_type:
            yield child
        yield from items(child, value_type)


def numbers(report: Dataset) -> dict[str, float]:
    return {
        str(item.ConceptNameCodeSequence[0].CodeMeaning): float(
            item.MeasuredValueSequence[0].NumericValue
        )
        for item in items(report, "NUM")
    }


def codes(report: Dataset) -> dict[str, str]:
    return {
        str(item.ConceptNameCodeSequence[0].CodeMeaning): str(
            item.ConceptCodeSequence[0].CodeMeaning
        )
        for item in items(report, "CODE")
    }


def test_a_segmentation_goes_all_the_way_to_report_segment_and_pages(tmp_path: Path) -> None:
    voxels = trunk((30, 60, 64))
    truth = ball(voxels, (14, 30, 24), 8)
    images = scanned(tmp_path / "images", voxels)
    folder = package("segmentation", site(tmp_path / "site"))
    assert not list(folder.rglob("*.py"))
    run = run_node(tmp_path / "site", images, "example_segmentation")
    assert run.status == 0, run.told
    assert run.outcome["outcome"] == "done"
    assert set(run.files) == {"SR", "SEG", "OT"}
    (report,) = run.data_sets("SR")
    measured = numbers(report)
    truth_ml = truth.sum() * 0.4 * 0.25 * 0.25
    assert measured["Volume"] == pytest.approx(truth_ml, rel=0.12)
    assert measured["Mean Attenuation Coefficient"] == pytest.approx(255, abs=15)
    (segment,) = run.data_sets("SEG")
    assert segment.SegmentationType == "BINARY"
    pixels = segment.pixel_array.astype(bool)
    assert pixels.sum() * 0.4 * 0.25 * 0.25 == pytest.approx(measured["Volume"], abs=0.06)
    assert len(run.data_sets("OT")) == 3
    validated(run)


def test_a_scan_without_what_the_model_measures_is_not_analysed_and_says_why(
    tmp_path: Path,
) -> None:
    images = scanned(tmp_path / "images", trunk((30, 60, 64)))
    package("segmentation", site(tmp_path / "site"))
    run = run_node(tmp_path / "site", images, "example_segmentation")
    assert run.outcome["outcome"] == "not eligible"
    assert "nothing of what the model measures" in run.outcome["told"]
    (report,) = run.data_sets("SR")
    assert codes(report)["Summary of Detections"] == "Not Attempted"
    validated(run)


def test_boxes_become_findings_with_their_certainty(tmp_path: Path) -> None:
    voxels = np.full((24, 64, 64), AIR, np.int16)
    voxels[8:12, 24:32, 24:32] = 450
    images = scanned(tmp_path / "images", voxels)

    def here(text: str) -> str:
        # The cube is 16 mm by 20 mm: half of some cells is air.
        return text.replace("certain: 90", "certain: 60")

    package("detection", site(tmp_path / "site"), here)
    run = run_node(tmp_path / "site", images, "example_detection")
    assert run.outcome["outcome"] == "done", run.told
    (report,) = run.data_sets("SR")
    measured = numbers(report)
    assert measured["Certainty of Finding"] > 60
    assert codes(report)["Lesion"] == "Present"
    contours = [item.GraphicData for item in items(report, "SCOORD")]
    assert contours
    for points in contours:
        columns = np.array(points[::2], float)
        assert 18 <= columns.min() < columns.max() <= 38
    validated(run)


@pytest.mark.parametrize("word", ["classification", "slices"])
def test_a_classification_says_absent_in_the_report(tmp_path: Path, word: str) -> None:
    images = scanned(tmp_path / "images", trunk((40, 60, 64)))
    package(word, site(tmp_path / "site"))
    run = run_node(tmp_path / "site", images, f"example_{word}")
    assert run.outcome["outcome"] == "done", run.told
    (report,) = run.data_sets("SR")
    said = codes(report)
    assert said["CAD Processing and Findings Summary"] == (
        "All algorithms succeeded; without findings"
    )
    assert "Absent" in said.values()
    assert set(run.files) == {"SR", "OT"}
    validated(run)


def test_two_radiographs_are_judged_together(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number, (side, letter, value) in enumerate((("left", "L", 3000), ("right", "R", 3500))):
        data_set = dx_instance(
            SeriesInstanceUID=uid("series", side),
            SOPInstanceUID=uid("image", side),
            ImageLaterality=letter,
            SeriesNumber=number + 1,
        )
        data_set.PixelData = np.full((64, 64), value, np.uint16).tobytes()
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        data_set.save_as(images / f"{side}.dcm", enforce_file_format=True)
    package("views", site(tmp_path / "site"))
    run = run_node(tmp_path / "site", images, "example_views", "{modality: DX, laterality: left}")
    assert run.outcome["outcome"] == "done", run.told
    (report,) = run.data_sets("SR")
    assert codes(report)["Bright views"] == "Present"
    referenced = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in items(report, "IMAGE")
    }
    assert {uid("image", "left"), uid("image", "right")} <= referenced
    validated(run)
