"""Attenuation of every tissue of the chest for one scan, and how contrast agent mixes.

Opacification: pulmonary arteries 250-450 HU in a good CT pulmonary angiogram, below 200 HU poor
(Wittram, AJR 2007, 188:1255); 120-200 HU in all vessels a minute after the injection.
Parenchyma -840 to -890 HU at inspiration with 20-80 HU more at the back (Verschakelen et al.,
J Comput Assist Tomogr 1993, 17:405).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.phantoms.chest_frame import ChestFrame
from models.phantoms.chest_tissue import LUNG_LOBES
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Field

_NATIVE: dict[T, float] = {
    T.AIR: -1000, T.TABLE: -170, T.CLOTHES: -560, T.SKIN: 25, T.SUBCUTANEOUS_FAT: -108,
    T.INTERMUSCULAR_FAT: -85, T.BREAST: 22, T.CARTILAGE: 95, T.DISC: 78, T.CANAL: 24,
    T.FISSURE: -600, T.TRACHEA: -995, T.AIRWAY: -985, T.AIRWAY_WALL: 20,
    T.MYOCARDIUM: 44, T.PERICARDIUM: 20, T.MEDIASTINAL_FAT: -98, T.LYMPH_NODE: 38,
    T.OESOPHAGUS: 34, T.OESOPHAGEAL_GAS: -820, T.THYROID: 95, T.EFFUSION: 8, T.ATELECTASIS: 32,
    T.SCAR: -40, T.GRANULOMA: 420, T.BULLA: -975, T.DIAPHRAGM: 46, T.LIVER: 57, T.SPLEEN: 48,
    T.STOMACH: 32, T.STOMACH_GAS: -960, T.KIDNEY: 32, T.ABDOMINAL_FAT: -104, T.METAL: 2600,
}  # fmt: skip

BLOOD = (
    T.PULMONARY_ARTERY, T.PULMONARY_VEIN, T.AORTA, T.ARCH_BRANCH, T.SUPERIOR_VENA_CAVA,
    T.INFERIOR_VENA_CAVA, T.AZYGOS, T.LEFT_VENTRICLE, T.RIGHT_VENTRICLE, T.LEFT_ATRIUM,
    T.RIGHT_ATRIUM,
)  # fmt: skip

_TISSUE_RISE: dict[str, dict[T, float]] = {
    "native": {},
    "pulmonary arterial": {
        T.MYOCARDIUM: 45, T.LIVER: 8, T.SPLEEN: 55, T.KIDNEY: 100, T.THYROID: 60, T.LYMPH_NODE: 15,
        T.ATELECTASIS: 60, T.OESOPHAGUS: 15, T.STOMACH: 15,
    },
    "routine": {
        T.MYOCARDIUM: 70, T.LIVER: 50, T.SPLEEN: 70, T.KIDNEY: 140, T.THYROID: 70,
        T.LYMPH_NODE: 40, T.ATELECTASIS: 70, T.OESOPHAGUS: 30, T.STOMACH: 30, T.BREAST: 12,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Attenuation:
    """HU of one scan.

    Attributes:
        mean: (256,) by `ChestTissue`. mixing: (256,) amplitude of swirls of unmixed blood, HU.
        lung: HU of healthy parenchyma in front. gradient: rise per mm backwards.
        texture: strength of the fine net in the lung, HU.
        streak: strength of the artefact at dense contrast in the vena cava, HU.
        cortex, marrow: HU of compact and spongy bone.
    """

    mean: Field
    mixing: Field
    lung: float
    gradient: float
    texture: float
    streak: float
    cortex: float
    marrow: float


def draw_attenuation(
    frame: ChestFrame, phase: str, strength: float, rng: np.random.Generator
) -> Attenuation:
    """Attenuation for one person, phase and quality of contrast (1 good, 0.5 poor)."""
    person = frame.person
    hu = np.full(256, 40.0)
    mixing = np.zeros(256)
    for tissue, value in _NATIVE.items():
        hu[tissue] = value
    muscle = float(np.clip(rng.normal(57 - 90 * person.marbling, 5), 25, 66))
    hu[T.MUSCLE] = muscle + (0 if phase == "native" else 7)
    for tissue in (T.LIVER, T.SPLEEN, T.STOMACH, T.EFFUSION, T.LYMPH_NODE):
        hu[tissue] += float(rng.normal(0, 6))
    hu[T.LIVER] -= float(max(rng.normal(0, 12) - 6 + 0.6 * max(person.bmi - 28, 0), 0))
    for tissue, value in _TISSUE_RISE[phase].items():
        hu[tissue] += value * float(rng.normal(1, 0.15)) * min(strength, 1.2)
    blood = float(rng.normal(42, 4))
    hu[list(BLOOD)] = blood
    streak = 0.0
    rise: dict[T, float] = {}
    if phase == "pulmonary arterial":
        artery = float(rng.uniform(260, 460)) * strength
        left = artery * float(rng.uniform(0.35, 1.0))
        cava = artery * float(rng.uniform(0.9, 2.6))
        rise = {
            T.PULMONARY_ARTERY: artery, T.RIGHT_VENTRICLE: artery * 1.02,
            T.RIGHT_ATRIUM: artery * float(rng.uniform(0.8, 1.1)), T.SUPERIOR_VENA_CAVA: cava,
            T.PULMONARY_VEIN: left, T.LEFT_ATRIUM: left, T.LEFT_VENTRICLE: left * 0.96,
            T.AORTA: left * float(rng.uniform(0.75, 0.98)),
            T.INFERIOR_VENA_CAVA: artery * float(rng.choice([0.05, 0.1, 0.4])),
            T.AZYGOS: float(rng.choice([0.1, 0.2, 0.8])) * left,
        }  # fmt: skip
        mixing[T.RIGHT_ATRIUM], mixing[T.RIGHT_VENTRICLE] = 0.20 * artery, 0.07 * artery
        mixing[T.SUPERIOR_VENA_CAVA] = 0.22 * cava
        mixing[T.INFERIOR_VENA_CAVA] = 0.1 * artery
        mixing[T.PULMONARY_ARTERY] = 0.012 * artery
        streak = max(cava - 350, 0) * 0.22
    elif phase == "routine":
        level = float(rng.uniform(105, 175)) * strength
        rise = {tissue: level * float(rng.normal(1, 0.05)) for tissue in BLOOD}
        rise[T.AZYGOS] *= 0.9
        if rng.random() < 0.3:
            rise[T.SUPERIOR_VENA_CAVA] *= float(rng.uniform(1.2, 2.2))
        mixing[T.INFERIOR_VENA_CAVA] = 0.12 * level
        mixing[T.SUPERIOR_VENA_CAVA] = 0.06 * level
    if rise:
        rise[T.ARCH_BRANCH] = rise[T.AORTA]
        for tissue, value in rise.items():
            hu[tissue] += value
    marrow = float(np.clip(person.bone_hu, 30, 300))
    hu[[T.RIB, T.STERNUM, T.CLAVICLE, T.SCAPULA, T.HUMERUS]] = marrow * 0.8 + 60
    hu[T.VERTEBRA] = marrow + 20
    depth = float(np.clip(rng.normal(-858, 24), -915, -790))
    hu[list(LUNG_LOBES)] = depth
    return Attenuation(
        mean=hu.astype(np.float32),
        mixing=mixing.astype(np.float32),
        lung=depth,
        gradient=float(np.clip(rng.normal(0.5, 0.2), 0.05, 1.0)),
        texture=float(rng.uniform(11, 24)),
        streak=streak,
        cortex=float(rng.uniform(700, 1150)) * (0.75 + marrow / 800),
        marrow=marrow,
    )
