"""Built-in pipeline `classification`: scores of a volume, of slices, or of several views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.builtin import words
from inference.builtin.pictures import source_picture
from inference.builtin.running import loaded, run_scores
from inference.builtin.scores import Answers, activated, answers, combined, threshold_limits
from inference.builtin.stages import Stages, parameters, refused, results_of
from inference.steps.chain import preprocess
from inference.steps.image import Image, image_of
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest, NetworkSpec
from models.manifest_results import Results
from node.domain.analysis import AnalysisRequest
from node.domain.errors import ModelError, PixelDataError, VolumeError
from node.domain.finding import Evaluation, Findings, KeyImage, Status
from node.domain.imaging import Volume

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One series as the network sees it.

    Attributes:
        name: its role; "" where there is only one series. scores: (item, class) of its slices.
    """

    name: str
    volume: Volume
    image: Image
    scores: Floats | None = None


def analyse(request: AnalysisRequest, manifest: ModelManifest) -> Findings:
    """Answer what `results.classes` and `results.questions` ask about an exam.

    Returns:
        FINDINGS where a class reaches its threshold or a question is answered, NO_FINDINGS where
        no class does, or NOT_ELIGIBLE where a step finds the pixels unfit or a view is missing.

    Raises:
        ModelError: steps, network and results do not fit together, or the network failed.
    """
    stages = Stages(request.progress)
    results = results_of(manifest)
    try:
        with stages.stage("prepare"):
            views = _views(request, manifest)
        with stages.stage("network"):
            views, scores = _scores(request, manifest, views)
    except (NothingLeft, _Unfit) as nothing:
        return refused(request.model, str(nothing), stages)
    with stages.stage("measure"):
        said = answers(combined(scores, results.aggregate), results, request.thresholds)
        positive = bool(said.present) or (bool(results.questions) and not results.classes)
        return Findings(
            model=request.model,
            status=Status.FINDINGS if positive else Status.NO_FINDINGS,
            exam_evaluations=(*said.evaluations, *_by_view(views, results)),
            exam_measurements=said.measurements,
            key_images=_pictures(views, manifest, said),
            limits=(
                *results.limits,
                *threshold_limits(results, request.thresholds),
                "The score is about the exam; it does not say where.",
                "Only what is named here was looked for; nothing else was assessed.",
            ),
            parameters=parameters(manifest),
            seconds=stages.seconds,
        )


class _Unfit(Exception):
    """A view cannot be used; the message is the reason, for people."""


def _views(request: AnalysisRequest, manifest: ModelManifest) -> list[View]:
    """The series itself, and its companions by their roles, each through `preprocess:`."""
    names = results_of(manifest).views
    volumes = {names[0] if names else "": request.volume}
    for name in names[1:]:
        if name not in request.companions:
            raise _Unfit(f"there are no images for the view '{name}'")
        try:
            volumes[name] = request.companions[name].load()
        except PixelDataError:
            # Damaged pixels are no verdict on the exam: the job has failed.
            raise
        except VolumeError as error:
            raise _Unfit(f"view '{name}': {error}") from error
    return [
        View(name=name, volume=volume, image=preprocess(image_of(volume), manifest.preprocess))
        for name, volume in volumes.items()
    ]


def _scores(
    request: AnalysisRequest, manifest: ModelManifest, views: Sequence[View]
) -> tuple[list[View], Floats]:
    """Each view with its scores, and the scores (item, class) that the exam is judged by."""
    (spec,) = manifest.networks
    network = loaded(request.networks, spec)
    if len(spec.inputs) > 1:
        feeds = _together(spec, views)
        raw = network.run(feeds)[spec.output_name]
        flat = np.asarray(raw.reshape(*raw.shape[:2], -1).mean(axis=2), np.float32)
        return list(views), activated(flat, manifest.postprocess, request.thresholds)
    found = []
    for view in views:
        raw = run_scores(network, spec, _items(view.image, spec))
        scores = activated(raw, manifest.postprocess, request.thresholds)
        found.append(View(name=view.name, volume=view.volume, image=view.image, scores=scores))
    return found, np.concatenate([view.scores for view in found if view.scores is not None])


def _together(spec: NetworkSpec, views: Sequence[View]) -> Mapping[str, Floats]:
    """All views as the inputs of one call, by name."""
    by_name = {view.name: view for view in views}
    feeds = {}
    for one in spec.inputs:
        if one.name not in by_name:
            raise ModelError(
                f"network {spec.name} has the input '{one.name}', but results.views names "
                f"{', '.join(by_name) or 'no views'}; correct model.yaml"
            )
        items = _items(by_name[one.name].image, spec)
        if len(items) != 1 or items[0].shape != (one.count, *spec.patch):
            raise ModelError(
                f"network {spec.name} takes {(one.count, *spec.patch)} as '{one.name}', the steps "
                f"before it make {len(items)} of {items[0].shape}; correct 'preprocess:'"
            )
        feeds[one.name] = items[0][np.newaxis]
    return feeds


def _items(image: Image, spec: NetworkSpec) -> list[Floats]:
    """(channel, *patch) of each slice along axis 0 for a planar network, else the volume."""
    values = np.asarray(image.values, np.float32)
    if len(spec.patch) == 3:
        return [values]
    return list(np.moveaxis(values, 1, 0))


def _by_view(views: Sequence[View], results: Results) -> tuple[Evaluation, ...]:
    """What each view says, where there are several that were looked at one by one."""
    told = []
    for view in views:
        if len(views) > 1 and view.scores is not None and results.classes:
            best = combined(view.scores, results.aggregate)
            numbers = [
                f"{item.name} {100 * float(best[item.channel]):.0f} %" for item in results.classes
            ]
            told.append(Evaluation(words.VIEW, f"{_in_words(view.name)}: {', '.join(numbers)}"))
    return tuple(told)


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _pictures(
    views: Sequence[View], manifest: ModelManifest, said: Answers
) -> tuple[KeyImage, ...]:
    """One image of each view: the slice with the highest score, else the middle one."""
    channel = said.present[0].channel if said.present else None
    if channel is None and results_of(manifest).classes:
        channel = results_of(manifest).classes[0].channel
    pictures = []
    for view in views:
        total = len(view.volume.planes)
        index, highest = total // 2, ""
        if view.scores is not None and len(view.scores) > 1 and channel is not None:
            index = _source_slice(view, int(view.scores[:, channel].argmax()))
            highest = ", highest score"
        place = f"Image {index + 1} of {total}{highest}"
        caption = f"{_in_words(view.name)}: {place}" if view.name else place
        picture = source_picture(view.volume, index, manifest, caption)
        if view.volume.study_uid != views[0].volume.study_uid:
            # An image of an earlier study is no evidence of this one.
            picture = replace(picture, plane=None)
        pictures.append(picture)
    return tuple(pictures)


def _source_slice(view: View, item: int) -> int:
    """The source image closest to the middle of a slice that the network saw."""
    point = np.array([[item, view.image.shape[1] / 2, view.image.shape[2] / 2]], np.float64)
    for move in reversed(view.image.trace):
        point = move.points_back(point)
    return int(np.clip(round(float(point[0, 0])), 0, len(view.volume.planes) - 1))
