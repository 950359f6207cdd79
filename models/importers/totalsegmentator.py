"""TotalSegmentator's tasks and structures: facts that its weights do not carry.

A results folder of TotalSegmentator is an nnU-Net folder whose input was resampled to cubic
voxels beforehand. Which task it is, is told by the number of its data set; TotalSegmentator
2.18 and 2.4 agree on what stands here. The order of the 117 structures of the task `total` is
the value in the label image; its five models of 1.5 mm hold consecutive parts of that order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

#: Overlap of neighbouring windows in `total`: they step by 0.8 of the patch.
TOTAL_STEP = 0.8


class Side(StrEnum):
    """Side of the patient's body."""

    LEFT = "left"
    RIGHT = "right"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One structure of the task `total`.

    Attributes:
        name: TotalSegmentator's. value: in the label image, from 1.
        code: SNOMED CT code, "" where none was confirmed. meaning: of the code.
        side: to be said beside the code; NONE where the code itself says it, or there is none.
    """

    name: str
    value: int
    code: str
    meaning: str
    side: Side

    @property
    def title(self) -> str:
        """For people: "Lung upper lobe left"."""
        return self.name.replace("_", " ").capitalize().replace(" s1", " S1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One published model of the task `total`.

    Attributes:
        dataset: number of its nnU-Net data set. spacing_mm: of its cubic voxels.
        first, last: the structures it knows, by value in the label image of the task.
    """

    dataset: int
    spacing_mm: float
    first: int
    last: int

    @property
    def structures(self) -> tuple[Structure, ...]:
        """In the order of its own labels 1, 2, ..."""
        return STRUCTURES[self.first - 1 : self.last]


_DATASET = re.compile(r"Dataset(\d{3,4})_")


def dataset_number(name: str) -> int | None:
    """Number in a data set's name ("Dataset297_TotalSegmentator_total_3mm_1559subj")."""
    found = _DATASET.match(name)
    return int(found[1]) if found else None


def _ribs() -> list[tuple[str, str, str, Side]]:
    ordinals = (
        ("48535007", "First"), ("78247007", "Second"), ("25888004", "Third"),
        ("25523003", "Fourth"), ("15339008", "Fifth"), ("59558009", "Sixth"),
        ("24915002", "Seventh"), ("5953002", "Eighth"), ("22565002", "Ninth"),
        ("77644006", "Tenth"), ("58830002", "Eleventh"), ("43993008", "Twelfth"),
    )  # fmt: skip
    return [
        (f"rib_{side}_{number}", code, f"{ordinal} rib", side)
        for side in (Side.LEFT, Side.RIGHT)
        for number, (code, ordinal) in enumerate(ordinals, start=1)
    ]


def _vertebrae() -> list[tuple[str, str, str, Side]]:
    codes = {
        "L5": "49668003", "L4": "11994002", "L3": "36470004", "L2": "14293000",
        "L1": "66794005", "T12": "23215003", "T11": "12989004", "T10": "7610001",
        "T9": "82687006", "T8": "11068009", "T7": "62487009", "T6": "45296009",
        "T5": "56401006", "T4": "73071006", "T3": "1626008", "T2": "53733008",
        "T1": "64864005", "C7": "87391001", "C6": "36054005", "C5": "36978003",
        "C4": "5329002", "C3": "113205007", "C2": "39976000", "C1": "14806007",
    }  # fmt: skip
    return [
        (f"vertebrae_{level}", code, f"{level} vertebra", Side.NONE)
        for level, code in codes.items()
    ]


def _pair(
    name: str, code: str, meaning: str, first: Side = Side.LEFT
) -> list[tuple[str, str, str, Side]]:
    second = Side.RIGHT if first is Side.LEFT else Side.LEFT
    return [(f"{name}_{side}", code, meaning, side) for side in (first, second)]


def _single(name: str, code: str, meaning: str) -> list[tuple[str, str, str, Side]]:
    return [(name, code, meaning, Side.NONE)]


def _structures() -> tuple[Structure, ...]:
    rows = [
        *_single("spleen", "78961009", "Spleen"),
        *_pair("kidney", "64033007", "Kidney", Side.RIGHT),
        *_single("gallbladder", "28231008", "Gallbladder"),
        *_single("liver", "10200004", "Liver"),
        *_single("stomach", "69695003", "Stomach"),
        *_single("pancreas", "15776009", "Pancreas"),
        *_pair("adrenal_gland", "23451007", "Adrenal gland", Side.RIGHT),
        *_single("lung_upper_lobe_left", "44714003", "Upper lobe of left lung"),
        ("lung_lower_lobe_left", "90572001", "Lower lobe of lung", Side.LEFT),
        ("lung_upper_lobe_right", "45653009", "Upper lobe of lung", Side.RIGHT),
        *_single("lung_middle_lobe_right", "72481006", "Middle lobe of right lung"),
        ("lung_lower_lobe_right", "90572001", "Lower lobe of lung", Side.RIGHT),
        *_single("esophagus", "32849002", "Esophagus"),
        *_single("trachea", "44567001", "Trachea"),
        *_single("thyroid_gland", "69748006", "Thyroid gland"),
        *_single("small_bowel", "30315005", "Small intestine"),
        *_single("duodenum", "38848004", "Duodenum"),
        *_single("colon", "71854001", "Colon"),
        *_single("urinary_bladder", "89837001", "Urinary bladder"),
        *_single("prostate", "41216001", "Prostate"),
        *_pair("kidney_cyst", "367643001", "Cyst"),
        *_single("sacrum", "54735007", "Sacrum"),
        *_single("vertebrae_S1", "", "S1 vertebra"),
        *_vertebrae(),
        *_single("heart", "80891009", "Heart"),
        *_single("aorta", "15825003", "Aorta"),
        *_single("pulmonary_vein", "122972007", "Pulmonary vein"),
        *_single("brachiocephalic_trunk", "12691009", "Brachiocephalic artery"),
        *_single("subclavian_artery_right", "29700009", "Right subclavian artery"),
        *_single("subclavian_artery_left", "85235006", "Left subclavian artery"),
        *_single("common_carotid_artery_right", "65355003", "Right common carotid artery"),
        *_single("common_carotid_artery_left", "113263003", "Left common carotid artery"),
        *_pair("brachiocephalic_vein", "8887007", "Brachiocephalic vein"),
        *_single("atrial_appendage_left", "33626005", "Left auricular appendage"),
        *_single("superior_vena_cava", "48345005", "Superior vena cava"),
        *_single("inferior_vena_cava", "64131007", "Inferior vena cava"),
        *_single("portal_vein_and_splenic_vein", "", "Portal vein and splenic vein"),
        *_pair("iliac_artery", "73634005", "Common iliac artery"),
        *_pair("iliac_vena", "46027005", "Common iliac vein"),
        *_pair("humerus", "85050009", "Humerus"),
        *_pair("scapula", "79601000", "Scapula"),
        *_pair("clavicula", "51299004", "Clavicle"),
        *_pair("femur", "71341001", "Femur"),
        *_pair("hip", "29836001", "Hip"),
        *_single("spinal_cord", "2748008", "Spinal cord"),
        *_pair("gluteus_maximus", "181674001", "Gluteus maximus muscle"),
        *_pair("gluteus_medius", "78333006", "Gluteus medius muscle"),
        *_pair("gluteus_minimus", "75297007", "Gluteus minimus muscle"),
        *_pair("autochthon", "244849004", "Deep muscle of back"),
        *_pair("iliopsoas", "68455001", "Iliopsoas muscle"),
        *_single("brain", "12738006", "Brain"),
        *_single("skull", "89546000", "Skull"),
        *_ribs(),
        *_single("sternum", "56873002", "Sternum"),
        *_single("costal_cartilages", "50016007", "Costal cartilage"),
    ]
    return tuple(
        Structure(name=name, value=value, code=code, meaning=meaning, side=side)
        for value, (name, code, meaning, side) in enumerate(rows, start=1)
    )


STRUCTURES = _structures()
#: Codes that pydicom's dictionary of SNOMED CT does not hold; two published tables agree on
#: each (TotalSegmentator's of 2025 and SegDB 0.0.3).
REVIEWED_CODES = frozenset(
    {
        *(code for _, code, _, _ in _ribs()),
        "181674001", "78333006", "75297007", "244849004", "68455001",
    }
)  # fmt: skip
MODELS: Mapping[int, Model] = {
    model.dataset: model
    for model in (
        Model(dataset=291, spacing_mm=1.5, first=1, last=24),
        Model(dataset=292, spacing_mm=1.5, first=25, last=50),
        Model(dataset=293, spacing_mm=1.5, first=51, last=68),
        Model(dataset=294, spacing_mm=1.5, first=69, last=91),
        Model(dataset=295, spacing_mm=1.5, first=92, last=117),
        Model(dataset=297, spacing_mm=3.0, first=1, last=117),
        Model(dataset=298, spacing_mm=6.0, first=1, last=117),
    )
}
#: The five models whose labels, merged in this order, are the task `total` at 1.5 mm.
TOTAL = (291, 292, 293, 294, 295)
