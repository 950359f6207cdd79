"""Cases of a folder of reports: written earlier, or read back from a PACS."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydicom import config, dcmread
from pydicom.errors import InvalidDicomError

from dicom_sr.reading import read_report
from inference.listing import studies_below
from node.domain.errors import OtherDocument, ResultError
from node.domain.reported import Report
from node.domain.study import Instance, StudyUID
from node.evaluation.cohort import Case, Result, Wanted, outcome_of, patient_key, report_groups
from node.evaluation.contents import Contents, Listed
from node.evaluation.places import NO_IMAGES, Images

#: Titles of notes that reject objects (PS3.16 CID 7011, IHE RAD IOCM).
_REJECTIONS: Final = frozenset({"113001", "113037", "113038", "113039"})
_UNREADABLE: Final = (
    InvalidDicomError, AttributeError, EOFError, LookupError, OSError, TypeError, ValueError,
)  # fmt: skip


class ReportCohort:
    """Reports in a folder; of each model the current one of a study counts."""

    def __init__(self, folder: Path, contents: Contents, *, images: Path | None = None) -> None:
        """`images`: where the images lie that findings are placed on, where they are at hand."""
        self._contents = contents
        self._images = _Listing(images)
        self.told = f"the reports in {folder}"
        self.problems: list[str] = list(contents.problems)

    def count(self, wanted: Wanted | None) -> int:
        """How many cases there will be."""
        return sum(1 for _ in self._listed(wanted))

    def cases(self, wanted: Wanted | None) -> Iterator[Case]:
        """The wanted studies that have a report here."""
        for study in self._listed(wanted):
            reports = self._read(study)
            if not reports:
                continue
            yield Case(
                study_uid=study.study_uid,
                accession_number=study.accession_number,
                patient=patient_key(reports[0].patient, study.study_uid),
                results=_current(reports),
                images=self._images.of(study.study_uid),
            )

    def _listed(self, wanted: Wanted | None) -> Iterator[Listed]:
        for study in self._contents.studies.values():
            key = (study.study_uid, study.accession_number)
            if study.reports and (wanted is None or key in wanted):
                yield study

    def _read(self, study: Listed) -> list[Report]:
        rejected = {uid for path in study.notes for uid in _rejected(Path(path))}
        found = []
        for path in study.reports:
            try:
                report = read_report(Path(path))
            except OtherDocument:
                continue  # a dose report, or what another device has to say in another template
            except ResultError as error:
                self.problems.append(str(error))
                continue
            if report.sop_instance_uid not in rejected:
                found.append(report)
        return found


class _Listing:
    """Images in a folder, listed when the first place is looked up."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._studies: dict[StudyUID, list[Instance]] | None = None

    def of(self, study_uid: str) -> Images:
        if self._folder is None:
            return NO_IMAGES
        return Images(lambda: self._instances(study_uid))

    def _instances(self, study_uid: str) -> Sequence[Instance]:
        assert self._folder is not None
        if self._studies is None:
            self._studies, _ = studies_below(self._folder)
        return self._studies.get(StudyUID(study_uid), [])


def _current(reports: Sequence[Report]) -> Mapping[str, Result]:
    """Of each model the newest report that no other one replaces."""
    replaced = {uid for report in reports for uid in report.predecessors}
    newest: dict[str, Report] = {}
    for report in sorted(reports, key=lambda one: (one.instance_number, one.written_at)):
        if report.sop_instance_uid not in replaced:
            newest[report.model] = report
    results = {}
    for model, report in sorted(newest.items()):
        outcome, reason = outcome_of(report)
        results[model] = Result(
            outcome=outcome, reason=reason, report=report, groups=report_groups(report)
        )
    return results


def _rejected(path: Path) -> Iterator[str]:
    """SOP Instance UIDs that a Key Object Selection rejects."""
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            note = dcmread(path)
            if note.ConceptNameCodeSequence[0].CodeValue in _REJECTIONS:
                for item in note.ContentSequence:
                    for reference in item.get("ReferencedSOPSequence") or ():
                        yield str(reference.ReferencedSOPInstanceUID)
    except _UNREADABLE:
        return
