"""TotalSegmentator's task `total`: facts that its weights do not carry.

A results folder of TotalSegmentator is an nnU-Net folder whose input was resampled to cubic
voxels beforehand. Which model it is, is told by the number of its data set; TotalSegmentator
2.4 and 2.18 agree on what stands here. The order of the 117 structures is the value in the label
image of the task; its five models of 1.5 mm hold consecutive parts of that order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Neighbouring windows step by this part of the patch.
STEP = 0.8


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
    def structures(self) -> tuple[str, ...]:
        """Names in the order of its own labels 1, 2, ..."""
        return STRUCTURES[self.first - 1 : self.last]


_DATASET = re.compile(r"Dataset(\d{3,4})_")


def dataset_number(name: str) -> int | None:
    """Number in a data set's name ("Dataset297_TotalSegmentator_total_3mm_1559subj")."""
    found = _DATASET.match(name)
    return int(found[1]) if found else None


def _pair(name: str, first: str = "left") -> tuple[str, str]:
    second = "right" if first == "left" else "left"
    return f"{name}_{first}", f"{name}_{second}"


def _structures() -> Iterator[str]:
    """In the order of the task; its sides come in either order."""
    yield from ("spleen", *_pair("kidney", "right"), "gallbladder", "liver", "stomach")
    yield from ("pancreas", *_pair("adrenal_gland", "right"))
    yield from ("lung_upper_lobe_left", "lung_lower_lobe_left")
    yield from (f"lung_{lobe}_lobe_right" for lobe in ("upper", "middle", "lower"))
    yield from ("esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon")
    yield from ("urinary_bladder", "prostate", *_pair("kidney_cyst"))
    yield from ("sacrum", "vertebrae_S1")
    for letter, count in (("L", 5), ("T", 12), ("C", 7)):
        yield from (f"vertebrae_{letter}{number}" for number in range(count, 0, -1))
    yield from ("heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk")
    yield from (*_pair("subclavian_artery", "right"), *_pair("common_carotid_artery", "right"))
    yield from (*_pair("brachiocephalic_vein"), "atrial_appendage_left")
    yield from ("superior_vena_cava", "inferior_vena_cava", "portal_vein_and_splenic_vein")
    for bone_or_vessel in ("iliac_artery", "iliac_vena", "humerus", "scapula", "clavicula"):
        yield from _pair(bone_or_vessel)
    yield from (*_pair("femur"), *_pair("hip"), "spinal_cord")
    for muscle in ("gluteus_maximus", "gluteus_medius", "gluteus_minimus"):
        yield from _pair(muscle)
    yield from (*_pair("autochthon"), *_pair("iliopsoas"), "brain", "skull")
    for side in ("left", "right"):
        yield from (f"rib_{side}_{number}" for number in range(1, 13))
    yield from ("sternum", "costal_cartilages")


STRUCTURES = tuple(_structures())
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
