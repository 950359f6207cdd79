"""Do the pixels look like a chest in Hounsfield units? Asked before anything else."""

from __future__ import annotations

import numpy as np

from models.grid import Grid
from models.hounsfield import tissue_shares
from models.refusal import Refusal
from models.thorax.frame import Coarse
from models.thorax.lungs import Lungs

#: Slices looked at, spread over the series.
SAMPLES = 9
#: The darkest values of a CT that shows air, HU; padding is -1024 by now.
COLDEST_HU, WARMEST_AIR_HU = -1100.0, -850.0
#: Share of what is neither air nor lung that is fat or soft tissue in any chest, with contrast
#: medium too, and soft tissue alone. A wrong rescale slope leaves air as it is, and moves these.
LEAST_TISSUE, LEAST_SOFT = 0.4, 0.15
#: A lung of a few litres: larger or smaller rooms are no adult's chest.
LARGEST_LITRES = 11.0
#: Both lungs in view over so many mm, on nearly all slices between the first and the last of them,
#: tell head from feet. In the upper two fifths what lies between them is 0.5 to 0.7 times as wide
#: as in the lower ones in simulated chests, and 1.5 to 2.1 times in those turned upside down.
ENDS_MM, UNBROKEN, WIDER = 140.0, 0.9, 1.4
#: A lung that holds less than this part of the other one's air is not merely a smaller lung: the
#: left one of a healthy adult holds about 0.85 of the right one's. Asked where the lungs
#: are in view over so many mm; at their bases alone the liver and the heart make them uneven.
EVEN, IN_VIEW_MM = 0.5, 60.0
#: Blood in the aorta and heart with contrast medium, HU.
ENHANCED_HU = 110.0


def refuse_units(grid: Grid) -> Refusal | None:
    """A reason where the values cannot be Hounsfield units, or None."""
    indices = np.unique(np.linspace(0, grid.shape[0] - 1, SAMPLES).round().astype(int))
    planes = np.asarray(grid.hu[indices], np.float32)
    low = float(np.percentile(planes, 1))
    if low > WARMEST_AIR_HU:
        return Refusal(
            f"the pixel values are not Hounsfield units of a chest: the darkest are {low:.0f} "
            "instead of about -1000"
        )
    if float((planes < COLDEST_HU).mean()) > 0.02:
        return Refusal(
            "the pixel values are not Hounsfield units: more than 2 % lie below "
            f"{COLDEST_HU:.0f}, where there is nothing"
        )
    tissue, soft = tissue_shares(planes)
    if tissue < LEAST_TISSUE or soft < LEAST_SOFT:
        return Refusal(
            f"the pixel values are not Hounsfield units of a chest: {tissue:.0%} of what is "
            f"neither air nor lung is fat or soft tissue and {soft:.0%} soft tissue; rescale slope "
            "and intercept in the headers may be wrong"
        )
    return None


def refuse_size(lungs: Lungs) -> Refusal | None:
    """A reason where the lungs are larger than any patient's, or None."""
    litres = (lungs.right_ml + lungs.left_ml) / 1000
    if litres > LARGEST_LITRES:
        return Refusal(
            f"the lungs measure {litres:.1f} litres, which no patient's do: the distances in the "
            "headers are wrong"
        )
    return None


def unseen_side(lungs: Lungs) -> str:
    """What is to be told of a lung that holds hardly any air beside the other; "" where both do.

    A tumour that is joined to the mediastinum, a collapsed lobe and a large effusion take its
    place, and nothing within them is seen.
    """
    air = {
        side: float((mask & lungs.aerated).sum()) * lungs.volume.voxel_ml
        for side, mask in (("right", lungs.right), ("left", lungs.left))
    }
    height = float(lungs.both.any(axis=(1, 2)).sum()) * lungs.volume.step_mm
    less, more = sorted(air, key=lambda side: air[side])
    if height < IN_VIEW_MM or air[less] >= EVEN * air[more]:
        return ""
    return (
        f"the {less} lung holds much less air than the {more} one ({air[less]:.0f} against "
        f"{air[more]:.0f} ml in view): a large tumour, a collapsed lobe or an effusion may take "
        "its place, and no nodule within it would be seen"
    )


def exchanged_ends(lungs: Lungs) -> str:
    """What is to be told where head and feet may be exchanged in the header; "" where not.

    The heart makes what lies between the lungs wide below. A large mass above may do the same, so
    that this is a doubt and no reason to refuse.
    """
    width = lungs.right.shape[2]
    both = lungs.right.any(axis=2) & lungs.left.any(axis=2)
    # Columns run to the left: the right lung ends where the left one has not begun.
    right_ends = width - lungs.right[:, :, ::-1].argmax(axis=2)
    between = np.where(both, np.maximum(lungs.left.argmax(axis=2) - right_ends, 0), 0)
    rows = both.sum(axis=1)
    slices = np.flatnonzero(rows)
    if len(slices) * lungs.volume.step_mm < ENDS_MM or len(slices) < np.ptp(slices) * UNBROKEN:
        return ""
    # A mean, for behind the dome of the diaphragm few rows hold both lungs.
    wide = between[slices].sum(axis=1) / rows[slices]
    part = len(slices) * 2 // 5
    if np.median(wide[-part:]) <= WIDER * np.median(wide[:part]):
        return ""
    return (
        "what lies between the lungs is wider above than below: head and feet may be exchanged in "
        "the header, so that upper and lower are named wrongly, or a large mass lies there"
    )


def is_enhanced(volume: Coarse, lungs: Lungs) -> bool:
    """Is contrast medium in the large vessels? The brightest blood between the lungs."""
    rows = np.flatnonzero(lungs.both.any(axis=(0, 2)))
    columns = np.flatnonzero(lungs.both.any(axis=(0, 1)))
    if not rows.size or not columns.size:
        return False
    part = volume.hu[
        :,
        rows[0] : rows[0] + len(rows) * 2 // 3,
        columns[0] + len(columns) // 3 : columns[-1] - len(columns) // 3,
    ]
    blood = part[(part > 0) & (part < 500)]
    return blood.size > 500 and float((blood > ENHANCED_HU).mean()) > 0.25
