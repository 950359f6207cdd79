"""Pages made for reading: one of each finding, and a table of all on the summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_sr import drawing, finding_page
from dicom_sr.finding_page import MOST_PAGES, SMALL_TOP, heading, words_of
from dicom_sr.finding_table import CHIP, NARROW_GUTTER, cell_of, table_of
from dicom_sr.page import BANNER, BOTTOM, MARGIN, SIZE, SMALL
from dicom_sr.pages import draw_pages
from node.domain.finding import Evaluation, Measurement
from tests.dicom_sr.lesions import COLUMNS, COMMENT, LONG, MM, case_with_lesions
from tests.dicom_sr.results import captures_of
from tests.dicom_sr.test_page import FRAME


def test_each_finding_has_one_page_and_the_summary_comes_first(tmp_path: Path) -> None:
    it = case_with_lesions(tmp_path)
    titles = [page.title for page in draw_pages(it.findings, FRAME)]
    assert titles == [
        "Summary",
        "Summary, page 2",
        "Nodule 1: right upper lobe of lung",
        "Nodule 2: right lower lobe of lung, segmental level",
        "Nodule 3: left upper lobe of lung",
    ]
    for finding, page in zip(it.findings.findings, captures_of(it.results())[2:], strict=True):
        source = page.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert source == finding.contours[0].plane.sop_instance_uid


def test_the_table_says_what_the_report_says(tmp_path: Path) -> None:
    findings = case_with_lesions(tmp_path).findings
    cells = [cell_of(findings.findings[1], column) for column in COLUMNS]
    assert cells == [
        "right lower lobe of lung, segmental level",
        "8.1 mm",
        "240 mm\u00b3",
        "solid",
        "4A (v2022), nodule 2",
    ]
    table = table_of(findings, SIZE - 2 * MARGIN)
    assert [line.colour for line in table.lines] == [item.colour for item in findings.segments]
    assert table.starts[-1] < SIZE - 2 * MARGIN


def test_several_values_of_one_name_tell_their_unit_once(tmp_path: Path) -> None:
    one = case_with_lesions(tmp_path, 1).findings.findings[0]
    (name,) = COLUMNS[1].concepts
    sizes = tuple(
        Measurement(name=name, value=size, unit=MM, label="Height") for size in (24.2, 13.4, 24.4)
    )
    told = cell_of(replace(one, measurements=sizes), COLUMNS[1])
    assert told == "24.2, 13.4, 24.4 mm"


def test_a_number_and_its_unit_stay_on_one_line_where_they_fit() -> None:
    for unit in ("mm", "mm\u00b3", "%", "HU"):
        text = f"24.2, 13.4, 24.4 {unit}"
        narrow = drawing.text_width("24.2, 13.4, 24.4", 20)
        assert drawing.wrapped(text, 20, narrow) == [
            "24.2, 13.4,", drawing.printable(f"24.4 {unit}")
        ]  # fmt: skip
    assert drawing.wrapped("24.4 mm", 20, drawing.text_width("24.4", 20)) == ["24.4", "mm"]


def test_the_side_is_told_once(tmp_path: Path) -> None:
    one = case_with_lesions(tmp_path, 1).findings.findings[0]
    middle = replace(one.site, meaning="Middle lobe of right lung")
    assert replace(one, site=middle).site_words == "middle lobe of right lung"
    named = replace(one, tracking_identifier="Vertebra L1", is_named_by_place=True)
    assert heading(named) == named.where == "Vertebra L1"


def test_no_word_of_a_table_with_many_columns_is_broken(tmp_path: Path) -> None:
    findings = case_with_lesions(tmp_path).findings
    short = Evaluation(COMMENT, "+3.4 mm", is_short_form=True)
    change = replace(COLUMNS[-1], heading="Certainty", concepts=(COMMENT,))
    few = [
        replace(one, evaluations=(*one.evaluations, short), site=replace(one.site, meaning="lung"))
        for one in findings.findings
    ]
    many = replace(findings, findings=tuple(few), columns=(*COLUMNS, change, change))
    table = table_of(many, SIZE - 2 * MARGIN)
    words: set[str] = set()
    for line in (table.head, *table.lines):
        written = [" ".join(cell) for cell in line.cells]
        assert written[-1] in {"Certainty", "+3.4 mm"}
        assert not any("Certai nty" in text or "Volum e" in text for text in written)
        words |= {word for text in written for word in text.split()}
    headings = {word for column in many.columns for word in column.heading.split()}
    assert headings <= words
    assert ("+3.4 mm", "") not in words_of(few[0])


def test_certainty_and_category_stand_on_the_page_of_the_finding(tmp_path: Path) -> None:
    words = words_of(case_with_lesions(tmp_path).findings.findings[0])
    assert ("Certainty of finding", "87 %") in words
    assert ("Lung-RADS 4A (v2022), nodule 1", "") in words
    assert ("Composition: solid", "") in words


@pytest.mark.parametrize("count", [1, 3, 30])
def test_nothing_of_the_pages_lies_outside_of_the_margins(tmp_path: Path, count: int) -> None:
    pages = draw_pages(case_with_lesions(tmp_path, count).findings, FRAME)
    assert sum(page.title.startswith("Nodule") for page in pages) == min(count, MOST_PAGES)
    for page in pages:
        body = page.pixels[BANNER + 1 : SIZE - BANNER - 1]
        assert not body[:, : MARGIN - 6].any()
        assert not body[:, SIZE - MARGIN + 6 :].any()


def test_no_text_of_a_finding_is_smaller_than_14_px_of_512(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = drawing.font

    def watching(size: int) -> object:
        sizes.append(size)
        return real(size)

    monkeypatch.setattr(drawing, "font", watching)
    draw_pages(case_with_lesions(tmp_path).findings, FRAME)
    assert min(size for size in sizes if size != 24) * 512 / SIZE >= 14


def test_one_line_too_many_draws_the_lines_together_instead_of_taking_a_page(
    tmp_path: Path,
) -> None:
    it = case_with_lesions(tmp_path, 1).findings
    number = it.findings[0].measurements[0]
    pages = {}
    for count in range(6, 14):
        more = tuple(replace(number, value=float(n), label=f"Number {n}") for n in range(count))
        lesion = replace(it.findings[0], measurements=more)
        drawn = draw_pages(replace(it, findings=(lesion,)), FRAME)
        pages[count] = sum(page.title.startswith("Nodule") for page in drawn)
    # Lines at the usual distance fill the place beside the picture with this many.
    room = SMALL_TOP + 24 - (finding_page.UPPER_TOP + 4 * len(lesion.evaluations))
    usual = room // finding_page.PITCHES[0] - len(lesion.evaluations)
    assert pages[usual] == pages[usual + 1] == 1
    assert pages[13] == 2


def test_no_cell_is_wrapped_for_the_sake_of_wide_gaps(tmp_path: Path) -> None:
    findings = case_with_lesions(tmp_path).findings
    cells = [[column.heading for column in COLUMNS]]
    cells += [[cell_of(one, column) for column in COLUMNS] for one in findings.findings]
    needed = [max(drawing.text_width(row[i], SMALL) for row in cells) for i in range(len(COLUMNS))]
    names = max(drawing.text_width(f"Nodule {n}", SMALL) for n in range(1, 4))
    narrow = sum(needed) + names + CHIP + NARROW_GUTTER * len(COLUMNS) + 2
    table = table_of(findings, narrow)
    assert {line.height for line in (table.head, *table.lines)} == {1}


def test_long_words_about_a_finding_go_on_to_another_page_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = case_with_lesions(tmp_path, 1).findings
    more = tuple(
        Measurement(name=it.findings[0].measurements[0].name, value=n, unit=MM, label=f"Number {n}")
        for n in range(25)
    )
    one = replace(it.findings[0], measurements=more, evaluations=(Evaluation(COMMENT, LONG[:900]),))
    drawn: list[str] = []
    real = finding_page.Canvas.text

    def watching(canvas: object, at: object, text: str, *rest: object) -> None:
        drawn.append(text)
        real(canvas, at, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(finding_page.Canvas, "text", watching)
    pages = finding_page.finding_pages(replace(it, findings=(one,)), FRAME)
    assert [page.title for page in pages][1:] == [f"{pages[0].title}, continued"] * (len(pages) - 1)
    assert len(pages) >= 2
    assert {f"Number {n}" for n in range(25)} <= set(drawn)
    assert LONG[:900].split()[-1] in " ".join(drawn)


def test_a_word_too_many_never_runs_into_the_pictures_below(tmp_path: Path) -> None:
    it = case_with_lesions(tmp_path, 1).findings
    bare = draw_pages(replace(it, exam_evaluations=()), FRAME)[1].pixels
    one = replace(it.findings[0], evaluations=(Evaluation(COMMENT, LONG),) * 3)
    full = draw_pages(replace(it, findings=(one,), exam_evaluations=()), FRAME)[1].pixels
    assert (bare[SMALL_TOP + 30 : BOTTOM] == full[SMALL_TOP + 30 : BOTTOM]).all()


def test_the_lesion_lies_where_the_cross_hair_points(tmp_path: Path) -> None:
    it = case_with_lesions(tmp_path, 1).findings
    page = draw_pages(replace(it, exam_evaluations=()), FRAME)[1].pixels.astype(int)
    below = page[SMALL_TOP:BOTTOM]
    (colour,) = {item.colour for item in it.segments}
    contour = (np.abs(below - np.array(colour)) < 40).all(axis=2)
    line = (below == np.array(drawing.BLUE)).all(axis=2)
    assert contour.any()
    for part in range(3):
        third = slice(MARGIN + part * 324, MARGIN + (part + 1) * 324)
        rows, columns = np.nonzero(contour[:, third])
        vertical = line[:, third].sum(axis=0).argmax()
        horizontal = line[:, third].sum(axis=1).argmax()
        assert abs(vertical - (columns.min() + columns.max()) / 2) < 4
        assert abs(horizontal - (rows.min() + rows.max()) / 2) < 4
