"""A table of headers as facts; what a table cannot tell is untold, not absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.table import studies_of
from node.domain.errors import ConfigError
from node.domain.facts import SeriesFacts

HEAD = "StudyInstanceUID,SeriesInstanceUID,Modality"


def table(folder: Path, text: str, name: str = "headers.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def series_of(folder: Path, columns: str, *cells: str) -> list[SeriesFacts]:
    rows = "".join(f"1.1,1.1.{n},{row}\n" for n, row in enumerate(cells))
    (study,) = studies_of(table(folder, f"{HEAD},{columns}\n{rows}"))
    return list(study.series)


def test_columns_are_dicom_keywords(tmp_path: Path) -> None:
    (facts,) = series_of(
        tmp_path,
        "SeriesDescription,SliceThickness,ImageType,ImageOrientationPatient,PixelSpacing,"
        "instanceCount,SpacingBetweenSlices,PatientAge,ConvolutionKernel",
        "CT,Thorax nativ,1.5,ORIGINAL\\PRIMARY\\AXIAL,1\\0\\0\\0\\1\\0,0.7\\0.7,200,1,054Y,Br40f",
    )
    assert (facts.modality, facts.orientation, facts.slices) == ("CT", "axial", 200)
    assert (facts.slice_thickness_mm, facts.coverage_mm) == (1.5, 199.0)
    assert (facts.header_region, facts.header_contrast) == (("chest",), False)
    assert (facts.kernel_class, facts.image_kind) == ("soft", "original")
    assert (facts.pixel_spacing_mm, facts.patient_age_years) == (0.7, 54.0)


def test_a_column_that_is_not_there_leaves_its_fact_untold(tmp_path: Path) -> None:
    (facts,) = series_of(tmp_path, "SliceThickness", "CT,")
    assert facts.slice_thickness_mm is None
    assert "slice_thickness_mm" not in facts.untold
    for name in ("kernel", "slices", "orientation", "pixel_region", "truncated", "sop_class_uid"):
        assert name in facts.untold, name


def test_a_fact_of_several_columns_is_told_when_one_of_them_tells_it(tmp_path: Path) -> None:
    said, silent = series_of(tmp_path, "SeriesDescription", "CT,Abdomen ohne KM", "CT,1.0")
    assert said.header_contrast is False
    assert "header_contrast" not in said.untold
    assert "header_contrast" in silent.untold
    assert {"body_region", "contrast"} <= silent.untold


def test_kind_of_image_is_untold_where_the_image_type_is_not_in_the_table(tmp_path: Path) -> None:
    silent, scout = series_of(tmp_path, "SeriesDescription", "CT,Abdomen", "CT,Scout")
    assert silent.image_kind is None
    assert "image_kind" in silent.untold
    assert scout.image_kind == "localizer"
    assert "image_kind" not in scout.untold


@pytest.mark.parametrize("cell", ["\"['ORIGINAL', 'PRIMARY']\"", "ORIGINAL\\PRIMARY"])
def test_lists_are_read_as_pandas_or_as_dicom_writes_them(tmp_path: Path, cell: str) -> None:
    (facts,) = series_of(tmp_path, "ImageType", f"CT,{cell}")
    assert facts.image_type == ("ORIGINAL", "PRIMARY")


def test_semicolons_and_tabs_part_columns_too(tmp_path: Path) -> None:
    for sign in ";\t":
        path = table(tmp_path, f"{HEAD}\n1.1,1.2,CT\n".replace(",", sign))
        assert [s.series[0].modality for s in studies_of(path)] == ["CT"]


def test_rows_of_one_study_belong_together_wherever_they_stand(tmp_path: Path) -> None:
    path = table(tmp_path, f"{HEAD}\n1.1,1.1.1,CT\n1.2,1.2.1,MR\n1.1,1.1.2,PT\n")
    assert [len(study.series) for study in studies_of(path)] == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("StudyInstanceUID,Modality\n1.1,CT\n", "no column SeriesInstanceUID"),
        (f"{HEAD}\n,1.2,CT\n", "row 2 has no StudyInstanceUID"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(studies_of(table(tmp_path, text)))


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x01" * 10)
    with pytest.raises(ConfigError, match=r"x\.csv: .*CSV file in UTF-8"):
        list(studies_of(tmp_path / "x.csv"))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(studies_of(tmp_path / "none.csv"))


def test_a_parquet_file_is_read_or_what_it_needs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "headers.parquet"
    try:
        import pyarrow as arrow  # noqa: PLC0415 - optional
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(ConfigError, match="needs the package pyarrow"):
            list(studies_of(path))
        return
    columns = {name: ["1.1"] for name in HEAD.split(",")}
    parquet.write_table(arrow.table(columns | {"Modality": ["CT"]}), path)
    (study,) = studies_of(path)
    assert study.series[0].modality == "CT"


def test_a_phantom_is_untold_where_no_description_could_name_it(tmp_path: Path) -> None:
    (bare,) = series_of(tmp_path, "SeriesDescription", "CT,Abdomen")
    assert "phantom" in bare.untold
    (named,) = series_of(tmp_path, "SeriesDescription", "CT,Phantom 1.0")
    assert named.phantom is True
    assert "phantom" not in named.untold
    (told,) = series_of(tmp_path, "SeriesDescription,StudyDescription", "CT,Abdomen,CT Abdomen")
    assert told.phantom is False
    assert "phantom" not in told.untold
    (patient,) = series_of(tmp_path, "SeriesDescription,PatientID", "CT,2 mm,QA_Phantom_1")
    assert patient.phantom is True


def test_what_pixels_would_tell_is_untold_for_ct_alone(tmp_path: Path) -> None:
    columns = "SeriesDescription,ProtocolName,StudyDescription,BodyPartExamined"
    ct, mr = series_of(tmp_path, columns, "CT,2 mm,,CT WO CONTRAST,", "MR,2 mm,,MR WO CONTRAST,")
    assert {"body_region", "contrast"} <= ct.untold
    assert mr.contrast is False
    assert "contrast" not in mr.untold
