"""Facts of a whole series, from headers and from pixels; what is not said is None."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from inference.series import describe_with_facts
from inference.sight import Sight, with_pixels
from node.demo.simulated import simulate
from node.domain.facts import FACTS, SeriesFacts, StudyFacts, plain, revived
from tests.dicom_factory import ct_series, dx_instance, instances, write
from tests.inference.reading import files_under

BARE = {
    keyword: None
    for keyword in ("BodyPartExamined", "ProtocolName", "SeriesDescription", "StudyDescription")
}


def study_of(paths: Iterable[Path], *, pixels: bool = True) -> StudyFacts:
    _, facts = describe_with_facts(
        instances(paths),
        generation=1,
        completed_at=datetime(2026, 1, 5, tzinfo=UTC),
        confidence="all",
        pixels=pixels,
    )
    return facts


def facts_of(data_sets: Iterable[FileDataset], folder: Path, **options: bool) -> SeriesFacts:
    (facts,) = study_of(write(data_sets, folder), **options).series
    return facts


def ct(folder: Path, **changes: Any) -> SeriesFacts:
    return facts_of(ct_series(slices=4, changes=changes), folder)


def item(**values: str) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def test_the_header_of_a_ct_gives_its_facts(tmp_path: Path) -> None:
    facts = ct(tmp_path, StationName="CT1", InstitutionName="East", PatientWeight="70")
    assert (facts.modality, facts.orientation, facts.slices) == ("CT", "axial", 4)
    assert facts.slice_thickness_mm == pytest.approx(2.5)
    assert facts.coverage_mm == pytest.approx(7.5)
    assert (facts.kernel, facts.kernel_class) == ("B30f", "soft")
    assert (facts.header_region, facts.body_part) == (("abdomen",), "ABDOMEN")
    assert (facts.image_kind, facts.missing_slices) == ("original", False)
    assert (facts.station, facts.institution) == ("CT1", "East")
    assert (facts.patient_sex, facts.patient_weight_kg) == ("F", 70.0)
    assert (facts.burned_in_annotation, facts.phantom) == (False, False)
    assert facts.sender == ("FACTORY",)


def test_what_is_not_said_is_none(tmp_path: Path) -> None:
    facts = ct(tmp_path, **BARE, ConvolutionKernel=None, PatientSex="", BurnedInAnnotation=None)
    for name in ("header_region", "header_contrast", "kernel", "kernel_class", "phase", "view"):
        assert getattr(facts, name) is None, name
    for name in ("patient_sex", "burned_in_annotation", "pet_units", "station"):
        assert getattr(facts, name) is None, name


@pytest.mark.parametrize(
    ("changes", "contrast"),
    [
        ({"ContrastBolusAgent": "ULTRAVIST"}, True),
        ({"ContrastBolusAgent": "NONE"}, False),
        ({"ContrastBolusAgent": ""}, None),
        ({"ContrastBolusAgent": "", "ContrastBolusVolume": "90"}, True),
        ({"ContrastBolusAgent": "ORAL"}, None),
        ({"ContrastBolusAgent": "Wasser 1000 ml", "ContrastBolusVolume": "1000"}, None),
        ({"ContrastBolusAgent": "ORAL & I.V."}, True),
        ({"ContrastBolusAgent": "TELEBRIX", "ContrastBolusRoute": "PO"}, None),
        ({"ContrastBolusAgent": "GASTRO & OMNI", "ContrastBolusRoute": "Oral & IV"}, True),
        ({"ContrastBolusAgent": "ORAL", "SeriesDescription": "Abdomen portalvenoes"}, True),
        ({"SeriesDescription": "Abdomen nativ"}, False),
        ({"ProtocolName": "Abdomen portalvenoes"}, True),
        ({"SeriesDescription": "SAG ART PANCREAS"}, True),
        ({"SeriesDescription": "DELAY KIDNEY"}, True),
        ({"SeriesDescription": "DELAY", "Modality": "PT"}, None),
        ({"SeriesDescription": "COR LAVA POST", "Modality": "MR"}, True),
        ({"SeriesDescription": "T1 3D AXIAL BH PRE", "Modality": "MR"}, False),
        ({"SeriesDescription": "Ax Vibrant PRE/POST", "Modality": "MR"}, None),
        ({"SeriesDescription": "post needle_R", "Modality": "MR"}, None),
        ({"SeriesDescription": "Post Procedure"}, None),
    ],
)
def test_contrast_is_told_by_agent_volume_or_words(
    tmp_path: Path, changes: dict[str, Any], contrast: bool | None
) -> None:
    assert ct(tmp_path, **changes).header_contrast is contrast


def test_an_order_without_contrast_counts_where_nothing_else_speaks(tmp_path: Path) -> None:
    order = {**BARE, "StudyDescription": "CT CHEST WO CONTRAST"}
    facts = ct(tmp_path / "a", **order)
    assert (facts.contrast, facts.header_contrast, facts.phase) == (False, None, None)
    assert ct(tmp_path / "b", **{**order, "ContrastBolusAgent": "ULTRAVIST"}).contrast is True
    assert (
        ct(tmp_path / "c", **{**order, "StudyDescription": "CT CHEST W CONTRAST"}).contrast is None
    )
    seen = with_pixels(facts, Sight(contrast=True))
    assert (seen.contrast, seen.contrast_disagrees) == (True, None)
    assert with_pixels(facts, Sight()).contrast is False


def test_a_ct_without_contrast_is_in_the_native_phase(tmp_path: Path) -> None:
    assert ct(tmp_path / "a", SeriesDescription="ABD W/O").phase == "native"
    assert ct(tmp_path / "b", ContrastBolusAgent="NONE").phase == "native"
    assert ct(tmp_path / "c", SeriesDescription="ABD").phase is None


def test_a_and_p_are_abdomen_and_pelvis_on_a_ct_that_is_no_scout(tmp_path: Path) -> None:
    organ = {**BARE, "BodyPartExamined": "UTERUS"}
    series = ct(tmp_path / "a", **{**organ, "SeriesDescription": "Cor A/P  3.0"})
    assert series.header_region == ("abdomen", "pelvis")
    chest = ct(tmp_path / "b", **{**BARE, "SeriesDescription": "CT C/A"})
    assert chest.header_region == ("chest", "abdomen")
    scout = ct(tmp_path / "c", **{**BARE, "SeriesDescription": "SCOUT A/P"})
    assert scout.header_region is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"SeriesDescription": "Topogram 0.6"}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "reformat"),
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "projection"),
        ({"SeriesDescription": "COR MIP LUNG"}, "projection"),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, "derived"),
        ({"SeriesDescription": "Dose Report"}, "dose_report"),
        ({"SeriesDescription": "Patient Protocol"}, "original"),
        ({"SeriesDescription": "locator"}, "localizer"),
        ({"SeriesDescription": "Smart Prep Series"}, "monitoring"),
        ({"SeriesDescription": "PreMonitoring  10.0  B40s"}, "monitoring"),
        ({"SeriesDescription": "Test_bolus"}, "monitoring"),
        ({"SeriesDescription": "ep2d_perf BOLUS"}, "original"),
        ({"SeriesDescription": "COR<MPR Range[1]>"}, "reformat"),
        ({"SeriesDescription": "Reformatted"}, "reformat"),
        ({"SeriesDescription": "sT1_FFE_Subtr"}, "subtraction"),
        ({"SeriesDescription": "Ave-IP(10) 0%_10%"}, "projection"),
        ({"SeriesDescription": "Low Dose Projections"}, "projection"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "original"),
        ({"ImageType": None}, None),
    ],
)
def test_kinds_of_images(tmp_path: Path, changes: dict[str, Any], kind: str | None) -> None:
    assert ct(tmp_path, **changes).image_kind == kind


@pytest.mark.parametrize(
    "changes",
    [
        {"QualityControlImage": "YES"},
        {"QualityControlSubject": "YES"},
        {"PatientName": "QA^Phantom"},
        {"StudyDescription": "Konstanzpruefung"},
    ],
)
def test_phantoms_are_found_wherever_they_are_named(tmp_path: Path, changes: Any) -> None:
    assert ct(tmp_path, **changes).phantom is True


def test_view_and_side_come_from_codes_before_words(tmp_path: Path) -> None:
    coded = dx_instance(
        Modality="MG",
        ViewPosition="CC",
        ImageLaterality="R",
        ViewCodeSequence=[item(CodeValue="R-10226", CodeMeaning="medio-lateral oblique")],
        SeriesDescription="L CC",
    )
    facts = facts_of([coded], tmp_path)
    assert (facts.view, facts.laterality) == ("MLO", "right")
    worded = dx_instance(Modality="MG", ViewPosition=None, SeriesDescription="L CC")
    facts = facts_of([worded], tmp_path / "worded")
    assert (facts.view, facts.laterality) == ("CC", "left")


def test_region_codes_count_as_words_do(tmp_path: Path) -> None:
    codes = [item(CodeValue="67734004", CodeMeaning="Upper trunk / thorax")]
    facts = ct(tmp_path, **BARE, AnatomicRegionSequence=codes)
    assert facts.header_region == ("chest",)


def test_facts_survive_the_ledger(tmp_path: Path) -> None:
    facts = ct(tmp_path)
    assert revived(plain(facts)) == facts
    newer = plain(facts) | {"fact_of_tomorrow": 1}
    assert revived(newer) == facts


def test_every_fact_says_what_it_is() -> None:
    for name, fact in FACTS.items():
        assert fact.title, name
        assert fact.pixels or fact.attributes, name
        assert fact.low < fact.high or fact.kind != "number", name


def trunk(*, vessel: int | None, lungs: bool, cut: bool = False) -> NDArray[np.int16]:
    """(slice, row, column) HU at 2 mm: an ellipse with a spine, perhaps an aorta and lungs."""
    row, column = np.mgrid[:200, :200] - 100.0
    shift = 60 if cut else 0
    image = np.full((200, 200), -1000.0)
    image[((column - shift) / 85) ** 2 + (row / 60) ** 2 < 1] = 40
    if lungs:
        for side in (-38, 38):
            image[((column - side) / 24) ** 2 + ((row + 5) / 38) ** 2 < 1] = -850
    spine = np.hypot(row - 30, column)
    image[spine < 11] = 450
    image[spine < 8] = 180
    if vessel is not None:
        image[np.hypot(row - 8, column - 8) < 6] = vessel
    return np.tile(image.astype(np.int16), (9, 1, 1))


def look(hu: NDArray[np.int16], folder: Path, **changes: Any) -> SeriesFacts:
    images = ct_series(
        slices=9, rows=200, columns=200, hu=hu, pixel_mm=(2.0, 2.0), changes={**BARE, **changes}
    )
    return facts_of(images, folder)


@pytest.mark.parametrize(
    ("vessel", "lungs", "contrast", "region"),
    [
        (240, False, True, ("abdomen",)),
        (45, False, False, ("abdomen",)),
        (240, True, True, ("chest",)),
        (None, True, False, ("chest",)),
    ],
)
def test_pixels_show_region_and_contrast(
    tmp_path: Path, vessel: int | None, lungs: bool, contrast: bool, region: tuple[str, ...]
) -> None:
    facts = look(trunk(vessel=vessel, lungs=lungs), tmp_path)
    assert facts.pixel_region == region
    assert facts.body_region == region
    assert facts.pixel_contrast is contrast
    assert facts.truncated is False
    assert facts.vessel_hu == (pytest.approx(240, abs=10) if contrast else None)


@pytest.mark.parametrize(
    ("cosines", "turned"),
    [
        ([-1, 0, 0, 0, -1, 0], lambda hu: hu[:, ::-1, ::-1]),
        ([0, -1, 0, 1, 0, 0], lambda hu: hu.transpose(0, 2, 1)[:, :, ::-1]),
    ],
)
def test_a_patient_who_lies_otherwise_shows_the_same(
    tmp_path: Path, cosines: list[int], turned: Callable[[NDArray[np.int16]], NDArray[np.int16]]
) -> None:
    hu = np.ascontiguousarray(turned(trunk(vessel=240, lungs=False)))
    facts = look(hu, tmp_path, ImageOrientationPatient=cosines)
    assert facts.orientation == "axial"
    assert (facts.pixel_region, facts.pixel_contrast) == (("abdomen",), True)
    assert facts.vessel_hu == pytest.approx(240, abs=10)


def test_where_no_spine_is_seen_contrast_is_not_denied(tmp_path: Path) -> None:
    hu = trunk(vessel=None, lungs=True)
    hu[hu > 100] = 40
    facts = look(hu, tmp_path)
    assert facts.pixel_region == ("chest",)
    assert facts.pixel_contrast is None


def test_header_and_pixels_are_both_kept_where_they_disagree(tmp_path: Path) -> None:
    changes = {"BodyPartExamined": "HEAD", "ContrastBolusAgent": "NONE"}
    facts = look(trunk(vessel=240, lungs=True), tmp_path, **changes)
    assert (facts.header_region, facts.pixel_region) == (("head",), ("chest",))
    assert facts.region_disagrees is True
    assert facts.contrast_disagrees is True
    assert (facts.body_region, facts.contrast) == (("head",), False)


def test_a_body_that_runs_out_of_the_image_is_cut(tmp_path: Path) -> None:
    assert look(trunk(vessel=None, lungs=False, cut=True), tmp_path).truncated is True


def test_without_pixels_their_facts_are_untold(tmp_path: Path) -> None:
    facts = facts_of(ct_series(slices=4), tmp_path, pixels=False)
    assert {"pixel_region", "truncated", "vessel_hu"} <= facts.untold
    assert facts.pixel_region is None


def test_undecodable_pixels_leave_the_headers_facts(tmp_path: Path) -> None:
    facts = facts_of(ct_series(slices=4, changes={"PixelData": b"\0" * 64}), tmp_path)
    assert (facts.slices, facts.pixel_region, facts.truncated) == (4, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_pixels_of_simulated_patients_agree_with_their_headers(tmp_path: Path, number: int) -> None:
    (facts,) = study_of(sorted(simulate(number, tmp_path).folder.rglob("*.dcm"))).series
    assert facts.region_disagrees is False
    assert facts.pixel_contrast is True


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "region", "contrast"),
    [
        ("chest_ct_lidc/lower", {"chest"}, False),
        ("chest_ct_lidc/upper", {"chest"}, False),
        ("abdomen_ct_crlm_1004", {"chest", "abdomen"}, True),
        ("abdomen_ct_totalseg/example_ct_dicom", {"abdomen"}, True),
    ],
)
def test_real_patients_are_seen_as_what_they_are(
    shared_images: Path, folder: str, region: set[str], contrast: bool
) -> None:
    (facts,) = study_of(files_under(shared_images / folder)).series
    assert set(facts.pixel_region or ()) == region
    assert facts.pixel_contrast is contrast
    assert facts.region_disagrees in (False, None)
