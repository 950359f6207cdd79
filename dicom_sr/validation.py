"""Our own checks before anything is sent (PLACEHOLDER until the next commit)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from node.domain.errors import ResultError
from node.domain.study import CompletedStudy


def validate(objects: Sequence[Dataset], study: CompletedStudy) -> None:
    """Raise ResultError when an object must not be sent."""
    for data_set in objects:
        if str(data_set.StudyInstanceUID) != str(study.study_uid):
            raise ResultError("a result object belongs to another study")
