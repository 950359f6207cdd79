"""Single points as SCOORD POINT, numbers with the place they were taken at, words on a picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from dicom_sr.drawing import Canvas, cropped, text_width
from dicom_sr.report_rules import groups, named, walk
from dicom_sr.validation import validate
from node.domain.finding import CodedConcept, Contour, KeyImage, Measurement, Overlay
from tests.dicom_sr.results import case, report_of

HEIGHT = CodedConcept("121207", "DCM", "Height")
ANTERIOR = CodedConcept("255549009", "SCT", "Anterior")
MM = CodedConcept("mm", "UCUM", "mm")
SITE = CodedConcept("363698007", "SCT", "Finding Site")
TOPOGRAPHY = CodedConcept("106233006", "SCT", "Topographical modifier")


def coded(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def test_points_share_the_tracking_uid_of_the_outline_and_heights_name_their_place(
    tmp_path: Path,
) -> None:
    it = case(tmp_path)
    finding = it.findings.findings[0]
    spot = Contour(it.series.planes[7], np.array([[20.5, 31.25]], np.float32))
    height = Measurement(
        name=HEIGHT, value=24.31, unit=MM, label="Anterior height", topography=ANTERIOR
    )
    it = it.having(
        findings=(
            replace(
                finding,
                contours=(*finding.contours, spot),
                measurements=(*finding.measurements, height),
            ),
        )
    )
    objects = it.results()
    validate(objects, it.study)
    report = report_of(objects)
    regions = [item for item in walk(report) if item.get("ValueType") == "SCOORD"]
    assert [item.GraphicType for item in regions] == ["POLYLINE", "POINT"]
    assert [float(v) for v in regions[1].GraphicData] == [20.5, 31.25]
    image = next(i for i in walk(regions[1]) if i.get("ValueType") == "IMAGE")
    reference = image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert reference == it.series.planes[7].sop_instance_uid
    uids = {
        str(child.UID)
        for group in groups(report)
        for child in group.ContentSequence
        if child.get("ValueType") == "UIDREF" and finding.tracking_uid == child.UID
    }
    assert uids == {finding.tracking_uid}
    (number,) = [item for item in walk(report) if named(item, HEIGHT)]
    assert float(number.MeasuredValueSequence[0].NumericValue) == 24.3
    (site,) = [item for item in number.ContentSequence if named(item, SITE)]
    assert coded(site) == finding.site.value
    (modifier,) = [item for item in site.ContentSequence if named(item, TOPOGRAPHY)]
    assert coded(modifier) == ANTERIOR.value


def test_notes_stand_on_the_picture_without_a_cross_and_move_with_a_cropped_one() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[45:55, 45:55] = True
    plain = KeyImage(
        pixels=np.full((100, 100), -1000.0, np.float32),
        window=(0, 400),
        pixel_mm=(1.0, 1.0),
        caption="",
        overlays=(Overlay(mask=mask, colour=(255, 0, 0), label=""),),
    )
    noted = replace(plain, notes=((40.0, 40.0, "L3"),))
    part = cropped(noted)
    assert part.pixels.shape < (100, 100)
    assert part.notes[0][0] == part.notes[0][1] == 40.0 - (100 - part.pixels.shape[0]) / 2
    outside = replace(plain, notes=((1.0, 1.0, "L3"),))
    assert cropped(outside).pixels.shape == (100, 100)
    pages = []
    for key in (plain, noted):
        canvas = Canvas.blank(256)
        canvas.picture(key, (0, 0, 256, 256), 28)
        pages.append(np.asarray(canvas.image))
    assert (pages[0] != pages[1]).any()


def test_a_long_note_is_wrapped_within_the_picture_and_lies_on_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = "4th from below: 2? biconcave -31 %"
    key = KeyImage(
        pixels=np.zeros((200, 200), np.float32),
        window=(0, 400),
        pixel_mm=(1.0, 1.0),
        caption="",
        notes=((120.0, 60.0, long), (120.0, 75.0, "L2"), (120.0, 196.0, long)),
    )
    drawn: list[tuple[int, int, str]] = []

    def on_image(_: Canvas, at: tuple[int, int], text: str, size: int, anchor: str) -> None:
        assert (size, anchor) == (28, "lm")
        drawn.append((*at, text))

    monkeypatch.setattr(Canvas, "on_image", on_image)
    Canvas.blank(600).whole_picture(key, (0, 0, 600, 600), 28)
    assert " ".join(text for _, _, text in drawn) == f"{long} L2 {long}"
    assert all(x + text_width(text, 28) <= 600 for x, _, text in drawn)
    heights = [y for _, y, _ in drawn]
    assert len(drawn) == 5
    assert all(b - a >= 28 for a, b in pairwise(heights))
    assert max(heights) <= 600
