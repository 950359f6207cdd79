"""Built-in pipeline `segmentation`: steps, one network or the mean of several, labels, sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.builtin import words
from inference.builtin.parts import Part, contours_of, measurements_of, numbered, parts_of
from inference.builtin.pictures import Named, coronal_picture, source_picture
from inference.builtin.running import after_argmax, gives_labels, run_labels, run_maps
from inference.builtin.stages import Stages, not_looked_at, parameters, refused, results_of
from inference.steps.chain import postprocess, preprocess
from inference.steps.image import image_of
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest
from models.manifest_results import LabelResult
from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError
from node.domain.finding import (
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Segment,
    Status,
    derived_uid,
)
from node.domain.imaging import Volume
from node.domain.label_map import LabelMap, LabelMask, Labels

#: Segments of one object; more would need more than a byte a voxel, and no reader looks at them.
MOST_SEGMENTS = 255
#: Pictures of source images.
MOST_PICTURES = 6


def analyse(request: AnalysisRequest, manifest: ModelManifest) -> Findings:
    """Segment one volume and measure what `results.labels` names.

    Returns:
        FINDINGS with one finding for each structure and each lesion, and "present" or "absent"
        for each kind of lesion; NO_FINDINGS where the package looks for lesions and there is
        nothing at all to measure; NOT_ELIGIBLE where a step finds the pixels unfit, or none of
        the structures that the package expects is in the images.

    Raises:
        ModelError: steps, network and results do not fit together, or the network failed.
    """
    stages = Stages(request.progress)
    results = results_of(manifest)
    try:
        labels, certainty = label(request, manifest, stages)
    except NothingLeft as nothing:
        return refused(request.model, str(nothing), stages)
    with stages.stage("measure"):
        volume = request.volume
        parts = list(parts_of(labels, results.labels, volume.voxel_ml))
        missing = _missing(results.labels, parts)
        lesions = [item for item in results.labels if item.kind == "lesion"]
        if not parts and not lesions:
            names = ", ".join(item.name for item in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            reason = f"nothing of what the model measures is in these images ({names}{more})"
            return refused(request.model, reason, stages)
        every, parts = parts, _listed(parts)
        numbers = numbered(parts, volume.voxels.shape)
        pairs = _findings(request, parts, numbers, certainty)
        return Findings(
            model=request.model,
            status=Status.FINDINGS if parts else Status.NO_FINDINGS,
            findings=tuple(finding for finding, _ in pairs),
            segments=tuple(segment for _, segment in pairs),
            segmented_planes=volume.planes if pairs else (),
            exam_evaluations=_answers(lesions, every),
            exam_measurements=_counts(lesions, every),
            key_images=_pictures(request, manifest, parts, numbers),
            limits=_limits(manifest, volume, parts, missing, len(every) - len(parts)),
            parameters=parameters(manifest),
            seconds=stages.seconds,
        )


def label(
    request: AnalysisRequest, manifest: ModelManifest, stages: Stages
) -> tuple[Labels, NDArray[np.float32] | None]:
    """The label of each voxel, on the grid of the volume; and its probability, where asked for.

    Raises:
        NothingLeft: the pixels contradict what the package expects. ModelError: as `analyse`.
    """
    with stages.stage("prepare"):
        image = preprocess(image_of(request.volume), manifest.preprocess)
    behind = manifest.postprocess
    asked = any("certainty" in item.measure for item in results_of(manifest).labels)
    with stages.stage("network"):
        # Slabs of labels keep no probabilities.
        if gives_labels(manifest) and not asked:
            image = run_labels(manifest, request.networks, image)
            behind = after_argmax(behind)
        else:
            image = run_maps(manifest, request.networks, image)
    with stages.stage("labels"):
        image = postprocess(image, behind, request.thresholds, certainty=asked)
    if image.trace or image.shape != request.volume.voxels.shape:
        raise ModelError(
            "the labels did not come back to the images; add the step invert to 'postprocess:' "
            "in model.yaml"
        )
    labels = image.values[0]
    if labels.dtype not in (np.uint8, np.uint16):
        raise ModelError("no step makes labels of the network's output; add argmax or threshold")
    return np.ascontiguousarray(labels), None if image.certainty is None else image.certainty[0]


def _listed(parts: Sequence[Part]) -> list[Part]:
    """As many as one object holds: the first of every label goes before the second of any."""
    counted: dict[int, int] = {}
    ranks = []
    for index, part in enumerate(parts):
        value = part.result.value
        counted[value] = counted.get(value, 0) + 1
        ranks.append((counted[value], index))
    chosen = {index for _, index in sorted(ranks)[:MOST_SEGMENTS]}
    return [part for index, part in enumerate(parts) if index in chosen]


def _missing(labels: Sequence[LabelResult], parts: Sequence[Part]) -> list[LabelResult]:
    """Structures of which nothing was found."""
    found = {part.result.value for part in parts}
    return [item for item in labels if item.kind == "structure" and item.value not in found]


def _findings(
    request: AnalysisRequest,
    parts: Sequence[Part],
    numbers: Labels,
    certainty: NDArray[np.float32] | None,
) -> list[tuple[Finding, Segment]]:
    shared = LabelMap(numbers)
    counted: dict[int, int] = {}
    pairs = []
    for number, part in enumerate(parts, start=1):
        result, volume = part.result, request.volume
        counted[result.value] = counted.get(result.value, 0) + 1
        identifier = result.name
        if result.kind == "lesion":
            identifier = f"{result.name} {counted[result.value]}"
        uid = derived_uid(
            "tracking",
            volume.study_uid,
            volume.series_uid,
            request.model.name,
            f"{result.value}/{counted[result.value]}",
        )
        finding = Finding(
            tracking_identifier=identifier,
            tracking_uid=uid,
            finding=result.code,
            category=result.category,
            site=result.site,
            laterality=result.laterality,
            contours=contours_of(part, volume),
            measurements=measurements_of(part, volume, certainty),
            segment_number=number,
        )
        segment = Segment(
            number=number,
            label=identifier,
            category=result.category,
            property_type=result.code,
            mask=LabelMask(shared, number),
            colour=result.colour,
            tracking_identifier=identifier,
            tracking_uid=uid,
        )
        pairs.append((finding, segment))
    return pairs


def _answers(lesions: Sequence[LabelResult], parts: Sequence[Part]) -> tuple[Evaluation, ...]:
    """Present or absent, for each kind of lesion; one kind may have several labels."""
    there = {part.result.code for part in parts}
    asked = dict.fromkeys(item.code for item in lesions)
    return tuple(
        Evaluation(code, words.PRESENT if code in there else words.ABSENT) for code in asked
    )


def _counts(lesions: Sequence[LabelResult], parts: Sequence[Part]) -> tuple[Measurement, ...]:
    """How many lesions, and of how much together."""
    found = [part for part in parts if part.result.kind == "lesion"]
    if not lesions or not found:
        return ()
    return (
        Measurement(
            name=words.LESIONS,
            value=float(len(found)),
            unit=words.ONE,
            label="Number of lesions",
            decimals=0,
        ),
    )


def _pictures(
    request: AnalysisRequest, manifest: ModelManifest, parts: Sequence[Part], numbers: Labels
) -> tuple[KeyImage, ...]:
    """The source images that show most, and a coronal overview; the middle one if nothing."""
    volume = request.volume
    total = len(volume.planes)
    if not parts:
        caption = f"Nothing found; image {total // 2 + 1} of {total}"
        return (source_picture(volume, total // 2, manifest, caption),)
    planes = _planes(parts)
    pictures = []
    for index in planes:
        here = [(n, part) for n, part in enumerate(parts, start=1) if _is_on(part, index)]
        named: list[Named] = [
            (np.asarray(numbers[index] == number, np.bool_), part.result.colour, part.result.name)
            for number, part in here
        ]
        caption = f"Image {index + 1} of {total}"
        pictures.append(source_picture(volume, index, manifest, caption, named))
    colours = [(part.result.colour, part.result.name) for part in parts]
    overview = coronal_picture(volume, numbers, manifest, colours)
    return (*pictures, *(() if overview is None else (overview,)))


def _planes(parts: Sequence[Part]) -> list[int]:
    """Lesions: the best slice of each; structures: the slice that shows most of them."""
    lesions = [part.plane for part in parts if part.result.kind == "lesion"]
    if lesions:
        return list(dict.fromkeys(lesions))[:MOST_PICTURES]
    first = min(part.box[0].start for part in parts)
    last = max(part.box[0].stop for part in parts)
    return [max(range(first, last), key=lambda index: _shown(parts, index))]


def _is_on(part: Part, index: int) -> bool:
    return bool(part.box[0].start <= index < part.box[0].stop)


def _shown(parts: Sequence[Part], index: int) -> float:
    """How many parts a slice shows, each as much as of itself it shows."""
    return sum(
        float(part.mask[index - part.box[0].start].sum()) / max(float(part.on_plane.sum()), 1.0)
        for part in parts
        if _is_on(part, index)
    )


def _limits(
    manifest: ModelManifest,
    volume: Volume,
    parts: Sequence[Part],
    missing: Sequence[LabelResult],
    left_out: int,
) -> tuple[str, ...]:
    found = [*results_of(manifest).limits, *not_looked_at(manifest)]
    if missing:
        names = ", ".join(item.name for item in missing)
        found.append(f"Not found in these images: {names}.")
    slices = len(volume.planes)
    cut = dict.fromkeys(part.result.name for part in parts if part.is_cut(slices))
    if cut:
        found.append(
            f"Reaches the first or last image, so its volume may be larger: {', '.join(cut)}."
        )
    if left_out > 0:
        found.append(f"{left_out} more parts are not listed.")
    listed: dict[int, int] = {}
    for part in parts:
        listed[part.result.value] = listed.get(part.result.value, 0) + 1
    for item in results_of(manifest).labels:
        if item.kind == "lesion" and listed.get(item.value, 0) >= item.at_most:
            found.append(f"Only the {item.at_most} largest are listed: {item.name}.")
        if item.kind == "lesion" and item.least_ml:
            found.append(f"Parts below {item.least_ml:g} ml are not reported: {item.name}.")
    found.append("Only what is named here was looked for; nothing else was assessed.")
    return tuple(found)
