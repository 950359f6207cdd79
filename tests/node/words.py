"""Builders of domain values for the tests of the node."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from config.schema import Route
from models.manifest import InputLimits, ModelManifest
from node.domain.extent import Extent
from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.finding import ModelIdentity
from node.domain.study import (
    ClassUID,
    CompletedStudy,
    Instance,
    InstanceUID,
    Patient,
    Plane,
    Series,
    SeriesGeometry,
    SeriesUID,
    StackID,
    StudyUID,
    TransferSyntaxUID,
)
from node.ledger.states import DeliveryState
from node.pipeline.rules import Rule, rules_of

#: The state of an object that a destination took, when nothing more is asked of it.
HANDED_OVER = next(s for s in DeliveryState if s.value in ("accepted", "unproved"))
CT = ClassUID("1.2.840.10008.5.1.4.1.1.2")
STUDY = StudyUID("1.2.826.0.1.3680043.10.7")


def instance(number: int = 1, *, series: str = "1", content: str = "") -> Instance:
    """A stored instance whose file does not matter."""
    uid = f"{STUDY}.{series}.{number}"
    return Instance(
        sop_instance_uid=InstanceUID(uid),
        sop_class_uid=CT,
        study_uid=STUDY,
        series_uid=SeriesUID(f"{STUDY}.{series}"),
        transfer_syntax_uid=TransferSyntaxUID("1.2.840.10008.1.2.1"),
        extent=Extent(Path("/nowhere") / uid),
        digest=hashlib.sha256((uid + content).encode()).hexdigest(),
        size_bytes=1000,
        calling_ae_title="SENDER",
        received_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )


def geometry(**changes: object) -> SeriesGeometry:
    """A sound axial stack of 60 slices every 5 mm."""
    base = SeriesGeometry(
        row_cosines=(1.0, 0.0, 0.0),
        column_cosines=(0.0, 1.0, 0.0),
        normal=(0.0, 0.0, 1.0),
        orientation="axial",
        rows=512,
        columns=512,
        pixel_spacing_mm=(0.8, 0.8),
        spacing_mm=5.0,
        largest_gap_mm=5.0,
        largest_gap_after=0,
        duplicates=0,
        tilt_degrees=0.0,
        extent_mm=295.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def series(name: str = "1", *, slices: int = 60, **changes: object) -> Series:
    """A CT series that the model of `manifest` accepts."""
    instances = tuple(instance(n, series=name) for n in range(1, slices + 1))
    planes = tuple(
        Plane(
            sop_instance_uid=item.sop_instance_uid,
            frame_number=None,
            position_mm=(0.0, 0.0, 5.0 * index),
            extent=item.extent,
        )
        for index, item in enumerate(instances)
    )
    base = Series(
        study_uid=STUDY,
        series_uid=SeriesUID(f"{STUDY}.{name}"),
        modality="CT",
        sop_class_uid=CT,
        instances=instances,
        planes=planes,
        geometry=geometry(),
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def study(*members: Series, generation: int = 1) -> CompletedStudy:
    """A completed study of an adult."""
    return CompletedStudy(
        study_uid=STUDY,
        series=members or (series(),),
        patient=Patient(age_years=60.0),
        completed_at=datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
        generation=generation,
        confidence="quiet",
    )


def facts(name: str = "1", **changes: object) -> SeriesFacts:
    """The facts of a CT series that the model of `manifest` accepts."""
    base = SeriesFacts(
        study_uid=STUDY,
        series_uid=SeriesUID(f"{STUDY}.{name}"),
        stack_id=StackID(f"{STUDY}.{name}"),
        digest=f"digest of {name}",
        sop_class_uid=CT,
        samples_per_pixel=1,
        gap_after=1,
        smallest_pixel_mm=0.8,
        modality="CT",
        orientation="axial",
        slices=60,
        slice_thickness_mm=5.0,
        slice_spacing_mm=5.0,
        coverage_mm=295.0,
        largest_gap_mm=5.0,
        missing_slices=False,
        duplicate_positions=0,
        tilt_degrees=0.0,
        pixel_spacing_mm=0.8,
        rows=512,
        columns=512,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        image_kind="original",
        patient_age_years=60.0,
        series_number=2,
        sender=("SENDER",),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def study_facts(*members: SeriesFacts, **changes: object) -> StudyFacts:
    """The facts of a study, complete on a Friday morning."""
    base = StudyFacts(
        study_uid=STUDY,
        series=members or (facts(),),
        at=datetime(2026, 1, 2, 9, 30, tzinfo=UTC),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def rule(name: str = "all", place: int = 0, **route: object) -> Rule:
    """A routing rule as the configuration would make it; `route`: keys of `routes:`."""
    given = {"models": ["body_composition"], "destinations": ["pacs"], **route}
    if given.get("shadow"):
        del given["destinations"]
    parsed = Route.model_validate_json(json.dumps(given), strict=True)
    (made,) = rules_of({name: parsed}, "UTC")
    return replace(made, place=place)


def manifest(name: str = "body_composition", **limits: object) -> ModelManifest:
    """A CT model without networks."""
    inputs = InputLimits(
        modalities=("CT",),
        sop_class_uids=(CT,),
        orientations=("axial",),
        min_planes=10,
        min_extent_mm=60.0,
        max_spacing_mm=6.0,
        max_tilt_degrees=5.0,
        max_gap_factor=1.5,
        pixel_spacing_mm=(0.4, 1.6),
        refused_image_types=("LOCALIZER", "MPR"),
        min_age_years=16.0,
        body_parts_hint=("ABDOMEN",),
    )
    return ModelManifest(
        identity=ModelIdentity(
            name=name, title=name, version="1", digest="d" * 64, manufacturer="m", task_number=1
        ),
        folder=Path("/nowhere"),
        pipeline="nowhere",
        intended_use="tests",
        inputs=replace(inputs, **limits),  # type: ignore[arg-type]
        networks=(),
        thresholds={},
        golden=None,
        priority=50,
        triage=False,
        job_time_limit_s=60.0,
        job_memory_mb=1000,
    )
