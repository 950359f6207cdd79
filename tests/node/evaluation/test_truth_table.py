"""A truth table is read, or every fault of it is named with line, column and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.domain.acute import AcuteFinding, Severity
from node.domain.errors import ConfigError
from node.evaluation.truth import Target, TruthTable
from node.evaluation.truth_table import read_truth

EMBOLISM = AcuteFinding(
    name="embolism",
    title="Pulmonary embolism",
    code=("59282003", "SCT"),
    severity=Severity.CRITICAL,
    score=("111012", "DCM"),
    unit="%",
    threshold="percent",
    operating_threshold=82.0,
)
ACUTE = {"acute": (EMBOLISM,)}


def read(folder: Path, text: str, *, tolerance_mm: float | None = None) -> TruthTable:
    path = folder / "truth.csv"
    path.write_text(text, encoding="utf-8-sig")
    return read_truth(path, ACUTE, tolerance_mm=tolerance_mm)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(folder, text)
    return [str(fault).removeprefix(str(folder)) for fault in raised.value.faults]


def test_labels_lesions_values_and_groups_of_a_study_come_from_all_its_lines(
    tmp_path: Path,
) -> None:
    table = read(
        tmp_path,
        "StudyInstanceUID,finding,label,x_mm,y_mm,z_mm,diameter_mm,Volume [ml],ward\n"
        "1.2.3,27925004 SCT,,1,2,3,8,12.5,west\n"
        "1.2.3,27925004 SCT,positive,4,5,6,10,,\n"
        "1.2.3,embolism,no,,,,,,west\n"
        "1.2.4,27925004 SCT,0,,,,,,\n",
    )
    nodule = Target(finding="27925004 SCT", code=("27925004", "SCT"))
    embolism = Target(finding="embolism", code=("59282003", "SCT"))
    first, second = table.studies["1.2.3"], table.studies["1.2.4"]
    assert table.targets == (nodule, embolism)
    assert [one.tolerance_mm for one in first.statements[nodule].lesions] == [4.0, 5.0]
    assert first.statements[nodule].lesions[1].centre_mm == (4.0, 5.0, 6.0)
    assert first.statements[nodule].positive is True
    assert first.statements[embolism].positive is False
    assert second.statements[nodule].positive is False
    assert first.values == {"Volume [ml]": 12.5}
    assert (first.groups, table.group_columns) == ({"ward": "west"}, ("ward",))
    assert table.values[0].name == "Volume"


def test_excel_in_german_with_semicolons_and_decimal_commas_is_read(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "Accession Number;Label;SOP Instance UID;Column;Row;Tolerance (mm)\n"
        "A-7;positiv;;;;\n".replace("positiv;", "pos;")
        + "A-8;;1.2.3;10,5;20;2,5\n",
    )
    (lesion,) = table.studies["A-8"].statements[Target()].lesions
    assert table.keyed_by == "AccessionNumber"
    assert lesion.image == ("1.2.3", None, 10.5, 20.0)
    assert lesion.tolerance_mm == 2.5


def test_the_smallest_tolerance_holds_where_a_lesion_is_smaller_or_has_none(tmp_path: Path) -> None:
    text = "StudyInstanceUID,x_mm,y_mm,z_mm,diameter_mm\n1.2,1,1,1,3\n1.3,1,1,1,40\n1.4,1,1,1,\n"
    table = read(tmp_path, text, tolerance_mm=5.0)
    found = [one.statements[Target()].lesions[0].tolerance_mm for one in table.studies.values()]
    assert found == [5.0, 20.0, 5.0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ":1:1: the table is empty - write a line of column names"),
        ("label\n1\n", ":1:1: no column says which study a line is about - the first line needs"),
        ("StudyInstanceUID\n1.2\n", ":1:1: the table says nothing that is true of a study - add"),
        (
            "StudyInstanceUID,lable\n1.2,1\n",
            ":1:2: lable: unknown column - did you mean 'label'?",
        ),
        (
            "StudyInstanceUID,x_mm,z_mm\n1.2,1,1\n",
            ":1:2: x_mm: a place needs x_mm, y_mm, z_mm - add y_mm, or take x_mm and z_mm out",
        ),
        ("StudyInstanceUID,label,Label\n1.2,1,1\n", ":1:3: Label: the column is there twice"),
        (
            "StudyInstanceUID,label\n1.2,maybe\n",
            ":2:2: label: not understood (got 'maybe') - write positive or negative; leave it",
        ),
        ("StudyInstanceUID,label\n,1\n", ":2:1: StudyInstanceUID: the line names no study"),
        (
            "StudyInstanceUID,label\n1.2.x,1\n",
            ":2:1: StudyInstanceUID: this is no UID (got '1.2.x')",
        ),
        (
            "StudyInstanceUID,label\n1.2,1\n1.3,0\n1.2,0\n",
            ":4:2: label: line 2 says the opposite of the same study and finding (got '0')",
        ),
        (
            "StudyInstanceUID,label,finding\n1.2,1,emboli\n",
            ":2:3: finding: no code, and no finding of a package (got 'emboli') - write code and "
            "scheme, such as '59282003 SCT'; installed packages name embolism",
        ),
        (
            "StudyInstanceUID,label,x_mm,y_mm,z_mm,diameter_mm\n1.2,0,1,1,1,5\n",
            ":2:2: label: a lesion in a negative study (got '0')",
        ),
        (
            "StudyInstanceUID,x_mm,y_mm,z_mm,diameter_mm\n1.2,1,,1,5\n",
            ":2:3: y_mm: is empty - a place needs x_mm, y_mm, z_mm",
        ),
        (
            "StudyInstanceUID,x_mm,y_mm,z_mm,diameter_mm\n1.2,1,one,1,5\n",
            ":2:3: y_mm: is no number (got 'one') - write digits, such as 12.5",
        ),
        (
            "StudyInstanceUID,x_mm,y_mm,z_mm\n1.2,1,1,1\n",
            ":2:1: the lesion has neither diameter_mm nor tolerance_mm - fill one in, or give",
        ),
        (
            "StudyInstanceUID,x_mm,y_mm,z_mm,diameter_mm\n1.2,1,1,1,5\n1.2,1,1,1,5\n",
            ":3:1: the same lesion stands in line 2 - delete one of the two lines",
        ),
        (
            "StudyInstanceUID,Area [cm2]\n1.2,5\n1.2,6\n",
            ":3:2: Area [cm2]: another line of this study says 5 (got '6')",
        ),
        (
            "StudyInstanceUID,label,ward\n1.2,1,west\n1.2,1,east\n",
            ":3:3: ward: another line of this study says 'west' (got 'east')",
        ),
        (
            "StudyInstanceUID,label\n1.2,1,x\n",
            ":2:1: the line has more cells than the first line has columns (got 'x')",
        ),
    ],
)
def test_a_fault_is_named_with_line_column_and_remedy(
    tmp_path: Path, text: str, fault: str
) -> None:
    (found,) = faults(tmp_path, text)
    assert found.startswith(f"/truth.csv{fault}"), found


def test_all_faults_are_named_at_once_in_the_order_of_the_table(tmp_path: Path) -> None:
    text = "StudyInstanceUID,label\n1.2,perhaps\nx,1\n1.4,never\n"
    assert [fault.split(":")[1] for fault in faults(tmp_path, text)] == ["2", "3", "4"]


def test_what_is_no_table_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "truth.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(ConfigError, match="in Excel: 'CSV UTF-8'"):
        read_truth(path, ACUTE)
    with pytest.raises(ConfigError, match="No such file"):
        read_truth(tmp_path / "none.csv", ACUTE)


def test_the_line_is_that_of_the_file_where_a_cell_holds_a_line_break(tmp_path: Path) -> None:
    text = 'StudyInstanceUID,label,note\n1.2,1,"two\nlines"\n1.3,maybe,\n'
    (found,) = faults(tmp_path, text)
    assert found.startswith("/truth.csv:4:2: label")
