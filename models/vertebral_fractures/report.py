"""From measured bodies to `Findings`: codes, points, contours, sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.grid import Mask
from models.importers.structures import structure_of
from models.outline import outer_polygon
from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.answers import exam_evaluations, order_of, status_of
from models.vertebral_fractures.density import is_uneven
from models.vertebral_fractures.genant import LIMITS
from models.vertebral_fractures.measured import Measured
from models.vertebral_fractures.measuring import CUT, Body
from models.vertebral_fractures.pictures import body_pictures, oval_picture, spine_pictures
from models.vertebral_fractures.plausibility import is_thick
from node.domain.analysis import AnalysisRequest
from node.domain.finding import (
    CodedConcept,
    Contour,
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Segment,
    derived_uid,
)
from node.domain.label_map import LabelMap, LabelMask


def findings_of(request: AnalysisRequest, measured: Measured) -> Findings:
    """The result."""
    report = _Report(request, measured)
    return report.findings()


class _Report:
    """One result under way."""

    def __init__(self, request: AnalysisRequest, measured: Measured) -> None:
        self.request, self.measured = request, measured
        self.names, self.verdicts = measured.names, measured.verdicts
        used = np.flatnonzero(measured.labels.any(axis=(1, 2)))
        #: Canonical slices that hold a body, and the labels there in the order of the source.
        self.slices = sorted((int(k) for k in used), key=measured.grid.source_slice)
        self.planes = tuple(
            request.volume.planes[measured.grid.source_slice(k)] for k in self.slices
        )
        self.map = LabelMap(self._in_source_order())
        self.uids = [self._uid(body) for body in measured.bodies]

    def findings(self) -> Findings:
        """As `findings_of`."""
        measured = self.measured
        there = [k for k in range(len(measured.bodies)) if (self.map.values == k + 1).any()]
        found = [self._finding(index, there) for index in order_of(measured)]
        status, reason = status_of(measured)
        return Findings(
            model=self.request.model,
            status=status,
            reason=reason,
            findings=tuple(found),
            segments=tuple(self._segment(index, n) for n, index in enumerate(there, start=1)),
            segmented_planes=self.planes if there else (),
            exam_evaluations=tuple(exam_evaluations(measured)),
            exam_measurements=self._exam_measurements(),
            key_images=self._pictures(),
            columns=say.COLUMNS if found else (),
            limits=self._limits(),
            parameters=self._parameters(),
            seconds=measured.seconds,
        )

    def _in_source_order(self) -> NDArray[np.uint8]:
        if not self.slices:
            return np.zeros((0, 1, 1), np.uint8)
        measured = self.measured
        return np.stack([measured.grid.plane_to_source(measured.labels[k]) for k in self.slices])

    def _uid(self, body: Body) -> str:
        volume = self.request.volume
        return derived_uid(
            "tracking",
            volume.study_uid,
            volume.series_uid,
            self.request.model.name,
            body.place.level or ",".join(f"{v:.0f}" for v in body.own.centre),
        )

    def _finding(self, index: int, there: list[int]) -> Finding:
        body, verdict = self.measured.bodies[index], self.verdicts[index]
        return Finding(
            tracking_identifier=f"Vertebra {self.names[index]}",
            tracking_uid=self.uids[index],
            finding=verdict.finding,
            category=say.ABNORMAL if verdict.is_abnormal else say.ANATOMICAL,
            site=_site(body),
            contours=self._contours(index),
            measurements=self._measurements(index),
            evaluations=self._about(index),
            segment_number=there.index(index) + 1 if index in there else None,
            is_named_by_place=True,
        )

    def _contours(self, index: int) -> tuple[Contour, ...]:
        """The outline on the axial image through the middle, then the six points on theirs."""
        body = self.measured.bodies[index]
        middle = self._slice_through(body.own.centre)
        found = []
        if middle in self.slices:
            mask = self.map.values[self.slices.index(middle)] == index + 1
            points = outer_polygon(np.asarray(mask))
            if len(points) >= 3:
                plane = self.request.volume.planes[self.measured.grid.source_slice(middle)]
                found.append(Contour(plane=plane, points=points))
        found += [self._point(point) for point in body.points_mm.reshape(-1, 3)]
        return tuple(found)

    def _slice_through(self, point: NDArray[np.float64]) -> int:
        """Canonical index of the slice next to a point, LPS mm."""
        grid = self.measured.grid
        inverse = np.linalg.inv(grid.affine)
        at = float((inverse[:3, :3] @ point + inverse[:3, 3])[0])
        return int(np.clip(round(at), 0, grid.shape[0] - 1))

    def _point(self, point: NDArray[np.float64]) -> Contour:
        """A point on the image next to it; (column, row) with 0.5 in the middle of a pixel."""
        volume = self.request.volume
        inverse = np.linalg.inv(volume.affine)
        index = inverse[:3, :3] @ point + inverse[:3, 3]
        plane = int(np.clip(round(float(index[0])), 0, len(volume.planes) - 1))
        rows, columns = volume.voxels.shape[1:]
        place = np.array(
            [[np.clip(index[2] + 0.5, 0, columns), np.clip(index[1] + 0.5, 0, rows)]], np.float32
        )
        return Contour(plane=volume.planes[plane], points=place)

    def _measurements(self, index: int) -> tuple[Measurement, ...]:
        body = self.measured.bodies[index]
        heights = [
            Measurement(name=say.HEIGHT, value=value, unit=say.MM, label=label, topography=place)
            for value, (place, label) in zip(body.heights_mm, say.PLACES, strict=True)
        ]
        attenuation = Measurement(
            name=say.ATTENUATION,
            value=self.measured.densities[index].mean_hu,
            unit=say.HU,
            derivation=say.MEAN,
            label="Spongy bone, mean attenuation",
            decimals=0,
        )
        if not self.measured.is_graded:
            return (*heights, attenuation)
        grading = self.measured.gradings[index]
        loss = Measurement(
            name=say.LOSS,
            value=max(0.0, 100 * grading.loss),
            unit=say.PERCENT,
            label="Largest loss of height",
            decimals=0,
        )
        certainty = Measurement(
            name=say.CERTAINTY,
            value=100 * grading.certainty,
            unit=say.PERCENT,
            label="Certainty of grade 2 or more",
            decimals=0,
        )
        return (loss, *heights, certainty, attenuation)

    def _about(self, index: int) -> tuple[Evaluation, ...]:
        verdict = self.verdicts[index]
        found = [Evaluation(say.GENANT, verdict.words)]
        if verdict.shape:
            found.append(Evaluation(say.SHAPE, verdict.shape))
        if verdict.doubt:
            found.append(Evaluation(say.DOUBT, verdict.doubt))
        if not self.measured.bodies[index].place.level:
            found.append(Evaluation(say.LEVELS_FIXED, "nothing: the level is uncertain"))
        if is_uneven(self.measured.densities[index]):
            found.append(
                Evaluation(say.BONE, "the oval holds something other than even spongy bone")
            )
        return tuple(found)

    def _segment(self, index: int, number: int) -> Segment:
        return Segment(
            number=number,
            label=f"Vertebral body {self.names[index]}",
            category=say.ANATOMICAL,
            property_type=_site(self.measured.bodies[index]),
            mask=LabelMask(self.map, index + 1),
            colour=self.verdicts[index].colour,
            tracking_identifier=f"Vertebra {self.names[index]}",
            tracking_uid=self.uids[index],
        )

    def _exam_measurements(self) -> tuple[Measurement, ...]:
        index = self.measured.bone()
        if index is None:
            return ()
        return (
            Measurement(
                name=say.TRABECULAR,
                value=self.measured.densities[index].mean_hu,
                unit=say.HU,
                derivation=say.MEAN,
                label=f"Spongy bone of {self.names[index]}",
                decimals=0,
            ),
        )

    def _pictures(self) -> tuple[KeyImage, ...]:
        measured = self.measured
        if len(measured.bodies) < 2:
            return ()
        listed = [
            (body, self._beside(index), self.verdicts[index].colour)
            for index, body in enumerate(measured.bodies)
        ]
        found = [*spine_pictures(measured.grid, listed)]
        for index, body in enumerate(measured.bodies):
            if self.verdicts[index].is_abnormal:
                found += self._close(index, body)
        index_of_bone = measured.bone()
        if index_of_bone is not None:
            density = measured.densities[index_of_bone]
            at = self._slice_through(density.centre.centre)
            title = f"{self.names[index_of_bone]}: spongy bone {density.mean_hu:.0f} HU"
            plane = self.request.volume.planes[measured.grid.source_slice(at)]
            found.append(oval_picture(measured.grid, density, plane, at, title))
        return tuple(found)

    def _beside(self, index: int) -> str:
        """What stands beside a body: its name, and its grade where there is one."""
        verdict, name = self.verdicts[index], self.names[index]
        if not verdict.is_abnormal:
            return name
        said = f"{verdict.grade} {verdict.shape}".strip()
        return f"{name}: {said} -{100 * self.measured.gradings[index].loss:.0f} %"

    def _close(self, index: int, body: Body) -> tuple[KeyImage, ...]:
        grid = self.measured.grid
        at = self._slice_through(body.own.centre)
        mask: Mask = np.asarray(self.measured.labels[at] == index + 1, np.bool_)
        plane = self.request.volume.planes[grid.source_slice(at)]
        words = (f"Vertebra {self.names[index]}", self.uids[index], self.verdicts[index].colour)
        return body_pictures(grid, body, (plane, at, mask), words)

    def _limits(self) -> tuple[str, ...]:
        found = list(say.LIMITS)
        spacing = self.measured.grid.spacing_mm[0]
        if is_thick(self.measured.grid):
            found.insert(
                0,
                f"Slices lie {spacing:.1f} mm apart: heights are less exact than up to 3 mm, and "
                f"fractures are missed. {say.CALLED_WORDS}",
            )
        if not self.measured.spine.anchors:
            found.insert(
                0, "The levels of the vertebrae could not be fixed; they are counted from below."
            )
        if any(CUT in one.reason for one in self.measured.unmeasured):
            found.append("Vertebrae that the images cut were not measured.")
        return tuple(found)

    def _parameters(self) -> tuple[tuple[str, str], ...]:
        thresholds = self.request.thresholds
        return (
            ("grades from losses of", ", ".join(f"{100 * limit:.0f}" for limit in LIMITS) + " %"),
            ("fracture from certainty", f"{thresholds['present']:.0f} %"),
            ("possible from certainty", f"{thresholds['possible']:.0f} %"),
            ("slice distance", f"{self.measured.grid.spacing_mm[0]:.2f} mm"),
        )


def _site(body: Body) -> CodedConcept:
    level = body.place.level
    return CodedConcept(*structure_of(f"vertebrae_{level}").code) if level else say.BODY
