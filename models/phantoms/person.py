"""Who is simulated: sex, age, size, fat, muscle, posture. Drawn from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Person:
    """One simulated patient.

    Attributes:
        sex: "M" or "F". age: years. height_cm, weight_kg, bmi.
        scale: skeletal size relative to an adult of 172 cm.
        fat_mm: subcutaneous thickness at the level of the navel (anterior, lateral, posterior).
        belly_mm: how far visceral fat pushes the wall outwards (anterior, lateral).
        muscle: bulk relative to a healthy adult. marbling: fraction of fat in muscle.
        lordosis_mm, scoliosis_mm: excursion of the spine. bone_hu: mean of trabecular bone.
        sacralised: the fifth lumbar vertebra is joined to the sacrum.
        last_rib: length factor of the twelfth rib.
        organs: filling of the cavity by bowel, 0..1.
    """

    sex: str
    age: int
    height_cm: float
    weight_kg: float
    bmi: float
    scale: float
    fat_mm: tuple[float, float, float]
    belly_mm: tuple[float, float]
    muscle: float
    marbling: float
    lordosis_mm: float
    scoliosis_mm: float
    bone_hu: float
    sacralised: bool
    last_rib: float
    organs: float

    @property
    def slim(self) -> float:
        """1 for the leanest, 0 from average fat upwards."""
        return float(np.clip((24 - self.bmi) / 9, 0, 1))


def draw_person(rng: np.random.Generator) -> Person:
    """Draw one adult, from cachectic to severely obese."""
    male = bool(rng.random() < 0.52)
    age = int(rng.integers(18, 93))
    height = float(np.clip(rng.normal(176 if male else 163, 7.5), 145, 200))
    bmi = float(np.clip(16 + rng.gamma(2.6, 3.9), 15, 48))
    if rng.random() < 0.15:
        bmi = float(rng.uniform(14.5, 20))
    surplus = max(bmi - 17.5, 0.0)
    subcutaneous = 2.5 + surplus * (1.05 if male else 1.5) * rng.lognormal(0, 0.35)
    visceral = surplus * (1.0 if male else 0.65) * rng.lognormal(0, 0.4) * (0.7 + age / 160)
    bulk = (1.04 if male else 0.86) - 0.0035 * max(age - 40, 0) + 0.006 * (bmi - 24)
    muscle = float(np.clip(bulk * rng.lognormal(0, 0.14), 0.45, 1.5))
    marbling = float(np.clip(0.01 + 0.0013 * max(age - 30, 0) + 0.003 * surplus, 0, 0.3))
    return Person(
        sex="M" if male else "F",
        age=age,
        height_cm=height,
        weight_kg=bmi * (height / 100) ** 2,
        bmi=bmi,
        scale=height / 172 * float(rng.normal(1, 0.025)),
        fat_mm=(
            float(np.clip(subcutaneous * rng.uniform(0.6, 1.2), 2, 75)),
            float(np.clip(subcutaneous * rng.uniform(0.4, 1.0), 2, 65)),
            float(np.clip(subcutaneous * rng.uniform(0.6, 1.5), 3, 80)),
        ),
        belly_mm=(float(min(visceral * 3.2, 95)), float(min(visceral * 1.3, 45))),
        muscle=muscle,
        marbling=float(marbling * rng.lognormal(0, 0.5)),
        lordosis_mm=float(rng.normal(0, 8)),
        scoliosis_mm=float(rng.normal(0, 14) if rng.random() < 0.2 else rng.normal(0, 3)),
        bone_hu=float(np.clip(rng.normal(255 - 2.0 * age, 45), 20, 330)),
        sacralised=bool(rng.random() < 0.04),
        last_rib=float(rng.uniform(0.35, 1.2)),
        organs=float(rng.uniform(0.25, 1.0)),
    )
