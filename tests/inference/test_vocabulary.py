"""Words in descriptions, in several languages, and the names of kernels."""

from __future__ import annotations

import pytest

from inference.kernels import kernel_class
from inference.vocabulary import contrast_in, is_phantom, phase_in, regions_in, side_of, view_in


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("CHESTABDPELVIS", ("chest", "abdomen", "pelvis")),
        ("CT CH/AB/PEL", ("chest", "abdomen", "pelvis")),
        ("LIVER 3 PHASE (C/A/P)", ("chest", "abdomen", "pelvis")),
        ("SCOUT A/P", ()),
        ("CT CH/ABD/PEL", ("chest", "abdomen", "pelvis")),
        ("TK klatki piersiowej", ("chest",)),
        ("Jama Brzuszna 3 fazy", ("abdomen",)),
        ("CHEST_TO_PELVIS", ("chest", "abdomen", "pelvis")),
        ("Thorax 1.0 Br40 S3", ("chest",)),
        ("CT Schädel nativ", ("head",)),
        ("TDM THORACO-ABDOMINO-PELVIEN", ("chest", "abdomen", "pelvis")),
        ("TC addome completo", ("abdomen",)),
        ("TAC TÓRAX", ("chest",)),
        ("LSPINE", ("spine",)),
        ("HWS sag", ("spine",)),
        ("Knie re.", ("lower_limb",)),
        ("whole body FDG", ("chest", "abdomen", "pelvis", "whole_body")),
        ("CTA coronary", ("heart",)),
        ("Lung Coronal MPR", ("chest",)),
        ("Ganzkoerper nativ", ("chest", "abdomen", "pelvis", "whole_body")),
        ("Left Breast", ("breast",)),
        ("TK głowy", ("head",)),
        ("KLP/JB/MM 5.0", ("chest", "abdomen")),
        ("BRZUCH MIED", ("abdomen", "pelvis")),
        ("BrzuchMiednica", ("abdomen", "pelvis")),
        ("TK kręgosłupa piersiowego", ("spine",)),
        ("SPINE^THORACIC", ("spine",)),
        ("Thoracic spine", ("spine",)),
        ("PETCT_Skull_MidThigh", ("chest", "abdomen", "pelvis", "whole_body")),
        ("PET_CT_SKULLBASE_TO_MID_THIGH", ("chest", "abdomen", "pelvis", "whole_body")),
        ("PET/CT SKULL BASE TO M", ("chest", "abdomen", "pelvis", "whole_body")),
        ("PET IMAGE W/CT, SKULL-", ("chest", "abdomen", "pelvis", "whole_body")),
        ("CT SKULL", ("head",)),
        ("CTABDPELWX", ("abdomen", "pelvis")),
        ("MRBRAIN", ("head",)),
        ("CTPA", ("chest",)),
        ("ABDPL", ("abdomen", "pelvis")),
        ("TORSO_3D_AC", ("chest", "abdomen", "pelvis")),
        ("CT Atten Cor Head In 3.75thk", ()),
        ("CT SCOUT HEAD IN", ()),
        ("Wholebody_First_Head (Adult)", ("chest", "abdomen", "pelvis", "whole_body")),
        ("T/A/P W/C LIVER", ("chest", "abdomen", "pelvis")),
        ("MR LOWER EXTREMITY RIGHT", ("lower_limb",)),
        ("Smart Prep Series", ()),
        ("Dose Report", ()),
        ("PHANTOM", ()),
        ("", ()),
    ],
)
def test_regions_are_read_in_the_language_of_the_radiographer(
    text: str, regions: tuple[str, ...]
) -> None:
    assert regions_in([text]) == regions


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("Abdomen portalvenös 3.0", True),
        ("CT Thorax mit KM", True),
        ("CHEST W/CONTRAST", True),
        ("THORAX VEN AXIAL 3X3", True),
        ("Body 1.0 CE", True),
        ("GK p.v.2", True),
        ("Thorax C+", True),
        ("CTA Aorta", True),
        ("Abdomen ohne KM", False),
        ("NON CONTRAST HEAD", False),
        ("Thorax nativ", False),
        ("CHEST W/O", False),
        ("CAP WO", False),
        ("SAG T1 PRE GAD", False),
        ("SAG T1 POST GAD", True),
        ("ReconFilter-C", None),
        ("CT ABD WWO", None),
        ("sans injection", False),
        ("Abd C-", False),
        ("CT ABD W AND W/O", None),
        ("Thorax 1.0", None),
        ("C-SPINE", None),
        ("recon C - ACRIN C1", None),
        ("CAP WITH", True),
        ("ap with  5.0  B40f", True),
        ("CHEST W", True),
        ("AX T1 W", None),
        ("with fat saturation", None),
        ("CTPA BODY AXIAL", True),
        ("LUNG Non /Contrast 2.0", False),
        ("Contrast/Bolus Agent: NONE", False),
        ("CT NON-INFUSED CHEST", False),
        ("non injecté", False),
        ("Abdomen blanco", False),
        ("TK bez kontrastu", False),
        ("tórax sem contraste", False),
        ("Thorax kontrastfrei", False),
        ("toraks kontrasts\u0131z", False),
        ("Jama brzuszna natywnie", False),
        ("KL.P BEZ I Z CE", None),
        ("z i bez kontrastu", None),
        ("PRZED KONTRASTEM", False),
        ("PO KONTRASCIE", True),
        ("vor KM", False),
        ("faza tętnicza", True),
        ("faza żylna", True),
        ("ze wzmocnieniem kontrastowym", True),
        ("ABD/PEL I+", True),
        ("ABD I-", False),
        ("I-131 scan", None),
        ("Abd/Pel WC", True),
        ("C/C 1.25mm STD", True),
        ("S/C 1.25mm STD", False),
        ("Abdomen veneus", True),
        ("(T1W Post contrast - T1W Pre-contrast)", None),
        ("", None),
    ],
)
def test_contrast_is_read_from_words_and_left_open_where_they_say_both(
    text: str, contrast: bool | None
) -> None:
    assert contrast_in(text) is contrast


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("Leber arteriell", "arterial"),
        ("Abdomen ven. 3mm", "venous"),
        ("portal venous", "venous"),
        ("nativ", "native"),
        ("LATE 5min", "delayed"),
        ("arterial and venous", None),
        ("Lung", None),
        ("Ax dyn mp NO DELAY", None),
        ("LATE ARTERIAL", "arterial"),
        ("LateArt_Phase  5.0  Br32", "arterial"),
        ("late portal venous", "venous"),
        ("early venous", "venous"),
        ("MiednicaPOZNE  1.5  I30f", "delayed"),
        ("faza tętnicza", "arterial"),
        ("faza wrotna", "venous"),
        ("faza późna", "delayed"),
        ("fáze arteriální", "arterial"),
        ("portovenös", "venous"),
        ("verzögert 5 min", "delayed"),
    ],
)
def test_one_phase_is_read_and_two_are_none(text: str, phase: str | None) -> None:
    assert phase_in(text) == phase


@pytest.mark.parametrize(
    ("text", "view", "side"),
    [
        ("R MLO", "MLO", "right"),
        ("LCC", "CC", "left"),
        ("L-XCCL Tomo", "XCCL", "left"),
        ("MLO", "MLO", None),
        ("accession", None, None),
    ],
)
def test_views_of_mammograms(text: str, view: str | None, side: str | None) -> None:
    assert view_in(text) == (view, side)


def test_sides_are_codes_or_words() -> None:
    assert [side_of(text) for text in ("L", "RIGHT", "Left Breast", "B", "")] == [
        "left",
        "right",
        "left",
        "both",
        None,
    ]


def test_phantoms_are_known_by_their_words() -> None:
    assert is_phantom(["QA^Daily"])
    assert is_phantom(["Konstanzprüfung Phantom"])
    assert not is_phantom(["Thorax", "Qadir^A", "Calibration Scan"])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("B30f", "soft"),
        ("B70f", "lung"),
        ("['Br40f', '3']", "soft"),
        ("Br38f\\3", "soft"),
        ("Bl57d\\3", "lung"),
        ("H60s", "bone"),
        ("U90u", "bone"),
        ("STANDARD", "soft"),
        ("LUNG", "lung"),
        ("BONEPLUS", "bone"),
        ("FC17", "soft"),
        ("FC51", "lung"),
        ("FC30", "bone"),
        ("L", "lung"),
        ("YA", "lung"),
        ("C", "soft"),
        ("HD STND", "soft"),
        ("T20s", "unknown"),
        ("OPA", "unknown"),
        ("", None),
    ],
)
def test_kernels_of_four_manufacturers(name: str, found: str | None) -> None:
    assert kernel_class(name) == found
