"""Skeletal muscle index and the published cut-offs, only where the header allows them.

SMI = skeletal muscle area at L3 (cm2) / height^2 (m2).

Cut-offs, as published; each was derived in patients with cancer and does not diagnose anything:

- Prado CM et al., Lancet Oncol 2008;9:629-635 (obese patients with solid tumours): below
  52.4 cm2/m2 in men, 38.5 in women.
- Martin L et al., J Clin Oncol 2013;31:1539-1547: below 43 cm2/m2 in men with BMI < 25 kg/m2,
  53 in men with BMI >= 25, 41 in women of any BMI.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.domain.study import Patient

#: A height outside is more likely centimetres, inches or a typing error than an adult.
SHORTEST_M, TALLEST_M = 1.2, 2.3
LIGHTEST_KG, HEAVIEST_KG = 25.0, 350.0

PRADO = {"M": 52.4, "F": 38.5}
MARTIN_WOMEN = 41.0
MARTIN_MEN_SLIM, MARTIN_MEN_HEAVY = 43.0, 53.0
MARTIN_BMI = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MuscleIndex:
    """The index, or why there is none.

    Attributes:
        smi: cm2/m2, or None.
        comparisons: sentences that compare it with published cut-offs, with their source.
        withheld: why the index or a comparison is missing; "" if nothing is.
    """

    smi: float | None
    comparisons: tuple[str, ...] = ()
    withheld: str = ""


def muscle_index(area_cm2: float, patient: Patient) -> MuscleIndex:
    """The index from the muscle area and what the header says of the patient."""
    height = patient.size_m
    if height is None:
        return MuscleIndex(
            smi=None, withheld="No skeletal muscle index: the header states no patient height."
        )
    if not SHORTEST_M <= height <= TALLEST_M:
        return MuscleIndex(
            smi=None,
            withheld="No skeletal muscle index: the patient height in the header is not "
            f"believable for an adult (outside {SHORTEST_M} to {TALLEST_M} m).",
        )
    smi = area_cm2 / height**2
    sex = patient.sex.strip().upper()
    if sex not in PRADO:
        return MuscleIndex(
            smi=smi,
            withheld="Not compared with published cut-offs: the header states no sex M or F.",
        )
    words = [_compared(smi, PRADO[sex], sex, "Prado 2008, Lancet Oncol 9:629")]
    cut_off, missing = _martin(sex, height, patient.weight_kg)
    if cut_off is not None:
        words.append(_compared(smi, cut_off, sex, "Martin 2013, J Clin Oncol 31:1539"))
    return MuscleIndex(smi=smi, comparisons=tuple(words), withheld=missing)


def _martin(sex: str, height_m: float, weight_kg: float | None) -> tuple[float | None, str]:
    if sex == "F":
        return MARTIN_WOMEN, ""
    if weight_kg is None or not LIGHTEST_KG <= weight_kg <= HEAVIEST_KG:
        return None, (
            "Not compared with the cut-offs of Martin 2013, which need a body mass index in "
            "men: the header states no believable weight."
        )
    heavy = weight_kg / height_m**2 >= MARTIN_BMI
    return (MARTIN_MEN_HEAVY if heavy else MARTIN_MEN_SLIM), ""


def _compared(smi: float, cut_off: float, sex: str, source: str) -> str:
    side = "below" if smi < cut_off else "not below"
    who = "men" if sex == "M" else "women"
    return f"SMI {smi:.1f} cm2/m2, {side} the published cut-off {cut_off:.1f} for {who} ({source})"
