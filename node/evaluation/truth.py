"""What is true of the studies of a cohort, as the truth table states it.

`truth_table.py` reads it; `config/EVALUATION.md` shows one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from node.domain.reported import Code

STUDY_UID: Final = "StudyInstanceUID"
ACCESSION: Final = "AccessionNumber"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked about: a finding of a model.

    Attributes:
        model: "" for every model. finding: as the table writes it, "" where it names none.
        code: of the finding; None: whether the result says that it found anything.
    """

    model: str = ""
    finding: str = ""
    code: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One true lesion; it has a place in space, or on an image, or both.

    Attributes:
        centre_mm: x, y, z, LPS mm of the frame of reference of the images.
        image: (SOP Instance UID, frame or None, column, row); 0.5 is the centre of the first pixel.
        tolerance_mm: a finding whose centre is no farther away found it.
        line: of the table.
    """

    centre_mm: tuple[float, float, float] | None
    image: tuple[str, int | None, float, float] | None
    tolerance_mm: float
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is true of one target in one study.

    Attributes:
        positive: None where the table does not say.
    """

    positive: bool | None
    lesions: tuple[Lesion, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTruth:
    """Everything that the table says of one study.

    Attributes:
        key: Study Instance UID or Accession Number, as the table has it.
        values: true values by the title of their column. groups: of the extra columns.
    """

    key: str
    line: int
    statements: Mapping[Target, Statement]
    values: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueColumn:
    """A column of true values, headed "L3 skeletal muscle: Area [cm2]"."""

    title: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthTable:
    """The whole table.

    Attributes:
        keyed_by: "StudyInstanceUID" or "AccessionNumber".
        studies: by key, in the order of the table.
        places: some lesion is placed.
    """

    file: str
    keyed_by: str
    studies: Mapping[str, StudyTruth]
    values: tuple[ValueColumn, ...] = ()
    group_columns: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target of the table, in the order of the table."""
        found = (target for study in self.studies.values() for target in study.statements)
        return tuple(dict.fromkeys(found))

    @property
    def places(self) -> bool:
        """Does the table place lesions?"""
        return any(one.lesions for one in self._statements())

    def _statements(self) -> Iterable[Statement]:
        for study in self.studies.values():
            yield from study.statements.values()
