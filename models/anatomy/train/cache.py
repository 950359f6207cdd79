"""Simulated trunks for training, painted once and kept on disk.

A file `<seed>.npz` holds codes (z, y, x) uint8 at 3 x 2 x 2 mm. A code is a `Tissue`, or one of the
finer codes below where the phantom paints two structures with one label. `PLAIN` holds trunks of
usual proportions, `VARIED` such whose organs, ribs and sacrum depart from them, but for every
fourth; of the people in `WORN`, all varied, two of three have spurs, bridges or fractures too.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.anatomy.structures import Structure
from models.phantoms.anatomy import Trunk, paint_trunk
from models.phantoms.fractures import SpineOptions, draw_spine
from models.phantoms.spine_variants import Variant, draw_variant
from models.phantoms.tissue import BODIES, Labels, Tissue

STEPS_MM = (3.0, 2.0, 2.0)
PLAIN = Path("train-out") / "anatomy"
VARIED = Path("train-out") / "anatomy-varied"
WORN = Path("train-out") / "anatomy-worn"
RIB_11, RIB_12, THORACIC_AORTA, FEMORAL_ARTERY = 64, 65, 66, 67
CODES = 68
TISSUE_OF = np.array(
    [*range(64), Tissue.RIB, Tissue.RIB, Tissue.THORACIC_VESSEL, Tissue.ARTERY], np.int64
)
"""(68,) the tissue, and so the Hounsfield units, of a code."""


def codes_of(trunk: Trunk) -> Labels:
    """Labels of a trunk with ribs 11 and 12 and the thoracic aorta under codes of their own."""
    codes = trunk.canvas.labels.copy()
    rib = codes == Tissue.RIB
    codes[rib & (trunk.ribs == 11)] = RIB_11
    codes[rib & (trunk.ribs == 12)] = RIB_12
    # The aorta lies on the spine's left or before it, the vena cava on its right.
    scale = trunk.person.scale
    side = trunk.canvas.x[None, None, :] - trunk.frame.spine_x[:, None, None]
    codes[(codes == Tissue.THORACIC_VESSEL) & (side > -8 * scale)] = THORACIC_AORTA
    # Below its fork the aorta is called iliac artery, which is no structure of the network.
    low = trunk.canvas.z < -48 * scale
    legs = codes[low]
    legs[legs == Tissue.ARTERY] = FEMORAL_ARTERY
    codes[low] = legs
    return codes


def _structures() -> NDArray[np.int64]:
    s, t = Structure, Tissue
    table = np.full(CODES, s.BODY, np.int64)
    for outside in (t.AIR, t.TABLE, t.CLOTHES):
        table[outside] = s.OUTSIDE
    for limb in (t.ARM_SKIN, t.ARM_FAT, t.ARM_MUSCLE, t.ARM_BONE):
        table[limb] = s.LIMB
    named = {
        t.SACRUM: s.SACRUM, t.L5: s.L5, t.L4: s.L4, t.L3: s.L3, t.L2: s.L2, t.L1: s.L1,
        t.T12: s.T12, t.T11: s.T11, t.T10: s.T10, t.T9: s.UPPER_THORACIC,
        t.T8: s.UPPER_THORACIC, t.T7: s.UPPER_THORACIC, t.T6: s.UPPER_THORACIC, t.DISC: s.DISC,
        t.ARCH: s.POSTERIOR, t.CANAL: s.CANAL, t.RIB: s.RIB, RIB_11: s.RIB_11,
        RIB_12: s.RIB_12, t.HIP_BONE: s.HIP_BONE, t.FEMUR: s.FEMUR, t.LUNG: s.LUNG,
        t.LUNG_VESSEL: s.LUNG, t.HEART: s.HEART, t.ARTERY: s.AORTA, THORACIC_AORTA: s.AORTA,
        t.LIVER: s.LIVER, t.SPLEEN: s.SPLEEN, t.KIDNEY: s.KIDNEY, t.KIDNEY_SINUS: s.KIDNEY,
        t.BLADDER: s.BLADDER, t.PSOAS: s.PSOAS, t.ERECTOR: s.ERECTOR, t.QUADRATUS: s.QUADRATUS,
        t.WALL_MUSCLE: s.ABDOMINAL_WALL, t.RECTUS: s.ABDOMINAL_WALL,
        t.PELVIC_MUSCLE: s.PELVIC_MUSCLE,
    }  # fmt: skip
    for code, structure in named.items():
        table[code] = structure
    return table


STRUCTURE_OF = _structures()
"""(68,) int64: `STRUCTURE_OF[codes]` gives the classes of the network."""


def spine_of(seed: int) -> SpineOptions | None:
    """The spine of a person of `WORN`: plain, with spurs and bridges, fractured, or curved."""
    if seed % 12 == 11:
        return draw_variant(Variant.SCOLIOSIS, seed)
    if seed % 3 == 1:
        return draw_variant(Variant.OSTEOPHYTES, seed)
    if seed % 3 == 2:
        broken = draw_spine(
            seed, grades=((1,), (2,), (3,), (2, 3))[seed // 3 % 4], among=BODIES[:9]
        )
        spurs = draw_variant(Variant.OSTEOPHYTES, seed)
        return replace(broken, bridged=spurs.bridged if seed % 2 else ())
    return None


def write(folder: Path, seed: int) -> str:
    """Paint one trunk and file it, unless it is there."""
    path = folder / f"{seed:07d}.npz"
    if path.exists():
        return str(path)
    if folder.name == WORN.name:
        trunk = paint_trunk(seed, STEPS_MM, spine=spine_of(seed), varied=True)
    else:
        varied = folder.name == VARIED.name and seed % 4 > 0
        trunk = paint_trunk(seed, STEPS_MM, varied=varied)
    part = path.with_suffix(".part.npz")
    low = np.float32(trunk.canvas.z[0])
    np.savez_compressed(part, codes=codes_of(trunk), low=low)
    part.rename(path)
    return str(path)


def fill(folder: Path, seeds: range, processes: int) -> None:
    """Paint and file the trunks of `seeds` with a pool of processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(partial(write, folder), seeds):
            pass
