"""Strangers' reports that are damaged in any way are refused by name, or read; nothing else."""

from __future__ import annotations

import random
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_sr.assessment import STANDARD_VOCABULARY
from node.domain.errors import DocumentError
from node.domain.extent import Extent
from node.domain.feedback import Answer
from node.pipeline.reader_reports import (
    MAX_BYTES,
    AssessTask,
    OwnReport,
    assess_document,
    name_references,
    read_own,
)
from tests.dicom_sr.results import case
from tests.node.reader_sr import Options, Said, answer_to

MUTANTS = 150


def test_damaged_documents_are_refused_or_read(tmp_path: Path) -> None:
    (report,) = (item for item in case(tmp_path / "s").results() if item.Modality == "SR")
    own = tmp_path / "report.dcm"
    report.save_as(own, enforce_file_format=True)
    findings = read_own(OwnReport(path=own, model="body_composition")).findings
    images = [dcmread(path) for path in (tmp_path / "s").rglob("*.dcm")]
    said = {"L3 skeletal muscle": Said(answer=Answer.REJECTED, area=3.0, comment="no")}
    stream = BytesIO()
    answer_to(report, images, said, Options(verified=True)).save_as(
        stream, enforce_file_format=True
    )
    generator = random.Random(20261126)
    ended: Counter[str] = Counter()
    path = tmp_path / "mutant.dcm"
    for _ in range(MUTANTS):
        path.write_bytes(_mutant(stream.getvalue(), generator))
        task = AssessTask(
            document=Extent(path),
            reports={"job": own},
            findings={"job": findings},
            words=STANDARD_VOCABULARY,
        )
        try:
            name_references(Extent(path))
            ended[f"read, {len(assess_document(task).findings['job'])} findings"] += 1
        except DocumentError:
            ended["refused"] += 1
    assert ended["refused"] > MUTANTS // 20
    assert ended["read, 1 findings"] > MUTANTS // 20


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DocumentError, match="larger than 64 MiB"):
        name_references(Extent(path))


def _mutant(whole: bytes, generator: random.Random) -> bytes:
    mutant = bytearray(whole)
    for _ in range(generator.choice((1, 2, 5))):
        at = generator.randrange(132, len(mutant))
        match generator.randrange(4):
            case 0 | 1:
                mutant[at] = generator.randrange(256)
            case 2:
                del mutant[at : at + generator.randrange(1, 40)]
            case 3:
                mutant[at:at] = generator.randbytes(generator.randrange(1, 9))
    return bytes(mutant)
