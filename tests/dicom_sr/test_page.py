"""The pages: legible, complete, inside their borders, and marked on the right pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_sr import drawing
from dicom_sr.drawing import cropped, printable, render, text_width, wrapped
from dicom_sr.page import (
    BANNER,
    BOTTOM,
    MARGIN,
    SIZE,
    STATUS_COLOURS,
    TOP,
    PageFrame,
    table_rows,
)
from dicom_sr.pages import draw_pages
from dicom_sr.secondary_capture import displayed_name
from node.domain.finding import Findings, KeyImage, Overlay, Status
from tests.dicom_factory import Person
from tests.dicom_sr.results import CONTEXT, captures_of, case, ellipse

FRAME = PageFrame(
    title="AI Body composition",
    identity=("LOVELACE, Ada", "ID VIGIE-0001", "Study 2026-01-05"),
    images="Looked at: CT series 2, 24 images",
    footer="body_composition v1.2.3, Vigie 0.1.0, 2026-01-06 09:30",
    is_research=True,
)


def _many(findings: Findings) -> Findings:
    limits = tuple(f"Limit {n}: " + "a condition that takes a line or two, " * 3 for n in range(9))
    numbers = findings.findings[0].measurements * 12
    finding = replace(findings.findings[0], measurements=numbers)
    return replace(findings, findings=(finding,), limits=limits)


@pytest.mark.parametrize("status", list(Status))
def test_nothing_is_drawn_outside_the_margins(tmp_path: Path, status: Status) -> None:
    pages = draw_pages(case(tmp_path, status).findings, FRAME)
    for page in pages:
        assert page.pixels.shape == (SIZE, SIZE, 3)
        body = page.pixels[BANNER + 1 : SIZE - BANNER - 1]
        assert not body[:, : MARGIN - 6].any()
        assert not body[:, SIZE - MARGIN + 6 :].any()


@pytest.mark.parametrize("answers", range(1, 24))
def test_limits_never_begin_with_a_heading_alone_at_the_foot_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    drawn: list[tuple[int, str]] = []
    text = drawing.Canvas.text

    def noted(canvas: drawing.Canvas, at: tuple[int, int], told: str, *rest: object) -> None:
        drawn.append((id(canvas.image), told))
        text(canvas, at, told, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing.Canvas, "text", noted)
    findings = _many(case(tmp_path).findings)
    numbers = findings.findings[0].measurements[:answers]
    finding = replace(findings.findings[0], measurements=numbers)
    limits = (findings.limits[0] * 2, *findings.limits[1:])
    draw_pages(replace(findings, findings=(finding,), limits=limits, exam_evaluations=()), FRAME)
    at = next(n for n, (_, told) in enumerate(drawn) if told == "Limits")
    assert drawn[at + 1][1].startswith("Limit 0")
    assert drawn[at + 1][0] == drawn[at][0]


def test_long_names_and_titles_stay_inside_the_page(tmp_path: Path) -> None:
    frame = replace(
        FRAME,
        title="AI " + "Quantification " * 8,
        identity=("W" * 90, "ID " + "W" * 90, "Study " + "W" * 40),
        footer="f" * 200,
    )
    for page in draw_pages(case(tmp_path).findings, frame):
        body = page.pixels[BANNER + 1 : SIZE - BANNER - 1]
        assert not body[:, : MARGIN - 6].any()
        assert not body[:, SIZE - MARGIN + 6 :].any()


def test_no_text_is_smaller_than_14_px_of_a_512_px_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = drawing.font

    def watching(size: int) -> object:
        sizes.append(size)
        return real(size)

    monkeypatch.setattr(drawing, "font", watching)
    draw_pages(_many(case(tmp_path).findings), FRAME)
    # 24 px is the probe for missing glyphs, which draws nothing on a page.
    assert min(size for size in sizes if size != 24) * 512 / SIZE >= 14


def test_what_does_not_fit_goes_on_to_another_page(tmp_path: Path) -> None:
    findings = case(tmp_path).findings
    few = [page.title for page in draw_pages(findings, FRAME)]
    many = [page.title for page in draw_pages(_many(findings), FRAME)]
    assert few == ["Summary", "Slice 13, window 40/400 HU"]
    assert many[:3] == ["Summary", "Summary, page 2", "Summary, page 3"]
    pages = draw_pages(_many(findings), FRAME)
    rule = pages[0].pixels[BOTTOM + 1 : BOTTOM + 5]
    assert not rule.any()
    # The outcome stands on every page: one alone must not read as all there is.
    mark = np.array(STATUS_COLOURS[findings.status])
    for one in pages[:3]:
        assert (one.pixels[TOP + 19, MARGIN + 11] == mark).all()


def test_every_page_says_research_until_cleared(tmp_path: Path) -> None:
    findings = case(tmp_path).findings
    amber = np.array(drawing.AMBER)
    for page in draw_pages(findings, FRAME):
        assert (page.pixels[2, 4] == amber).all()
        assert (page.pixels[SIZE - 3, 4] == amber).all()
    for page in draw_pages(findings, replace(FRAME, is_research=False)):
        assert not (page.pixels[2, 4] == amber).all()


def test_table_shows_each_number_as_the_report_does(tmp_path: Path) -> None:
    rows = table_rows(case(tmp_path).findings)
    assert [(row.label, row.value) for row in rows] == [
        ("Skeletal muscle area", "154.6 cm²"),
        ("Volume in this slice", "41.2 cm³"),
        ("Muscle volume of the trunk", "1234.5 cm³"),
    ]


def test_repeated_labels_stand_under_the_name_of_their_finding(tmp_path: Path) -> None:
    findings = case(tmp_path).findings
    one = findings.findings[0]
    two = replace(one, tracking_identifier="Another", segment_number=None)
    rows = table_rows(replace(findings, findings=(one, two)))
    assert [row.label for row in rows if not row.value] == ["L3 skeletal muscle", "Another"]


def _red(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(pixels[..., 0].astype(int) - pixels[..., 2] > 30)


def test_overlay_covers_the_masked_pixels_and_no_others() -> None:
    mask = ellipse()
    key = KeyImage(
        pixels=np.zeros((64, 64), np.float32),
        window=(40, 400),
        pixel_mm=(1.0, 1.0),
        caption="",
        overlays=(Overlay(mask=mask, colour=(255, 40, 40), label=""),),
    )
    drawn = _red(np.asarray(render(key, 512, 512)))
    truth = np.kron(mask, np.ones((8, 8), bool))
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.95


def test_crop_keeps_the_overlay_and_moves_the_marks_with_it() -> None:
    mask = np.zeros((100, 200), bool)
    mask[60:70, 150:170] = True
    key = KeyImage(
        pixels=np.arange(20000, dtype=np.float32).reshape(100, 200),
        window=(40, 400),
        pixel_mm=(1.0, 1.0),
        caption="",
        overlays=(Overlay(mask=mask, colour=(1, 2, 3), label=""),),
        marks=((160.5, 65.5, "here"),),
    )
    part = cropped(key)
    assert part.pixels.shape == (60, 120)
    assert part.overlays[0].mask.sum() == mask.sum()
    column, row, _ = part.marks[0]
    assert part.pixels[int(row), int(column)] == key.pixels[65, 160]


def test_true_aspect_is_kept_for_anisotropic_pixels(tmp_path: Path) -> None:
    findings = case(tmp_path).findings
    key = replace(
        findings.key_images[0],
        pixels=np.full((20, 64), 300, np.float32),
        pixel_mm=(5.0, 0.8),
        overlays=(),
        edges=("", "", "", ""),
    )
    page = draw_pages(replace(findings, key_images=(key,)), FRAME)[-1].pixels
    white = (page == 255).all(axis=2)
    height = white.any(axis=1).sum()
    width = white[300:800].any(axis=0).sum()
    assert height / width == pytest.approx(20 * 5.0 / (64 * 0.8), rel=0.03)


@pytest.mark.parametrize("shape", [(200, 60), (60, 200), (128, 128)])
def test_letters_of_the_edges_never_lie_on_the_picture(shape: tuple[int, int]) -> None:
    key = KeyImage(
        pixels=np.full(shape, 1000, np.float32),
        window=(40, 400),
        pixel_mm=(1.0, 1.0),
        caption="",
        overlays=(),
        edges=("A", "P", "H", "F"),
    )
    lettered = drawing.Canvas.blank(400)
    box = (20, 20, 380, 380)
    covered = lettered.picture(key, box, 28)
    assert box[0] <= covered[0] < covered[2] <= box[2]
    assert box[1] <= covered[1] < covered[3] <= box[3]
    page = np.asarray(lettered.image).astype(int)
    white = (page > 250).all(axis=2)
    rows = np.flatnonzero(white.mean(axis=1) > 0.1)
    columns = np.flatnonzero(white.mean(axis=0) > 0.1)
    inside = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (inside > 250).all(), "a letter has a dark rim, which would show in the picture"
    page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = 0
    for part in (
        page[: rows[0]],
        page[rows[-1] + 1 :],
        page[:, : columns[0]],
        page[:, columns[-1] :],
    ):
        assert (part > 200).any(), "a letter is missing"
    outside = np.asarray(lettered.image).copy()
    outside[covered[1] : covered[3], covered[0] : covered[2]] = 0
    assert not outside.any()


def test_site_may_keep_identity_off_the_pages(tmp_path: Path) -> None:
    it = case(tmp_path, patient=Person(name="Lovelace^Ada"))
    hidden = it.results(replace(CONTEXT, patient_identity_on_pages=False))
    shown = it.results()
    for page in captures_of(hidden):
        assert page.BurnedInAnnotation == "NO"
        assert not page.pixel_array[BANNER + 1 : 160, 600:].any()
    for page in captures_of(shown):
        assert page.BurnedInAnnotation == "YES"
        assert page.pixel_array[BANNER + 1 : 160, 600:].any()


def test_page_of_a_slice_names_it_as_its_source(tmp_path: Path) -> None:
    it = case(tmp_path)
    summary, slice_page = captures_of(it.results())
    assert "SourceImageSequence" not in summary
    source = slice_page.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == it.series.planes[12].sop_instance_uid


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Lovelace^Ada^King", "Lovelace, Ada King"),
        ("Yamada^Tarou=\u5c71\u7530^\u592a\u90ce", "Yamada, Tarou"),
        ("ONEWORD", "ONEWORD"),
        ("Str\u00f6m^\u00c5sa", "Str\u00f6m, \u00c5sa"),
        ("What?^Who", "What?, Who"),
        ("\u5c71\u7530^\u592a\u90ce", "(name in another script)"),
        ("Yamada^\u592a\u90ce", "(name in another script)"),
        ("", ""),
    ],
)
def test_name_is_shown_by_its_alphabetic_group(name: str, shown: str) -> None:
    assert displayed_name(name) == shown


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("J\u00e9r\u00f4me Stra\u00dfe", "Jerome Strasse"),
        ("\u0141ukasz \u00d8rsted", "Lukasz Orsted"),
        ("30 \u00b5m \u2192 3 \u00d7 2", "30 um -> 3 x 2"),
        ("\u5c71\u7530", "??"),
        ("a\x1b$Bb", "a?$Bb"),
    ],
)
def test_text_is_drawn_in_characters_that_the_font_has(text: str, drawn: str) -> None:
    assert printable(text) == drawn


def test_wrapped_lines_fit_even_words_longer_than_a_line() -> None:
    for line in wrapped("short " + "w" * 300 + " end", 28, 400):
        assert text_width(line, 28) <= 400
