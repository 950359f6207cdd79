"""Built-in pipeline `attention_mil`: one answer for a slide, with the tiles that it rests on.

The network `features` turns each tile into a vector; the network `attention` takes the bag of
all of them, (1, tiles, features), and gives `score` and `attention` (Ilse 2018, ABMIL).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.builtin.running import loaded, run_scores
from inference.builtin.scores import activated, answers, combined, threshold_limits
from inference.builtin.slide_pictures import overview_picture, tile_picture
from inference.builtin.slide_tiles import TilePlan, batches, plan_tiles, tiles_of
from inference.builtin.stages import Stages, parameters, refused, results_of
from inference.builtin.tiles import on_grid
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest
from models.manifest_results import Aggregate
from node.domain.analysis import SlideRequest
from node.domain.errors import ModelError
from node.domain.finding import Findings, KeyImage, Status

Floats = NDArray[np.float32]
#: Outputs of the attention network.
SCORE, ATTENTION = "score", "attention"
#: Tiles that are shown.
MOST_TILES = 4
#: Part of the attention that the marked tiles hold together.
_MARKED = 0.5
_COLOUR = (255, 140, 0)


def analyse(request: SlideRequest, manifest: ModelManifest) -> Findings:
    """Answer what `results.classes` and `results.questions` ask about a slide.

    Returns:
        FINDINGS where a class reaches its threshold or a question is answered, else NO_FINDINGS;
        NOT_ELIGIBLE where the slide is too coarse, shows no tissue, or has too many tiles.

    Raises:
        ModelError: steps, networks and results do not fit together, or a network failed.
        PixelDataError: a tile cannot be decoded.
    """
    stages = Stages(request.progress)
    results = results_of(manifest)
    if results.tiles is None:
        raise ModelError("how the slide is read is not said; add 'results.tiles' to model.yaml")
    try:
        with stages.stage("tissue"):
            plan = plan_tiles(request.slide, manifest.networks[0], results.tiles)
    except NothingLeft as nothing:
        return refused(request.model, str(nothing), stages)
    with stages.stage("features"):
        bag = _bag(request, manifest, plan)
    with stages.stage("attention"):
        scores, attention = _attended(request, manifest, bag)
    with stages.stage("measure"):
        said = answers(combined(scores, Aggregate()), results, request.thresholds)
        positive = bool(said.present) or (bool(results.questions) and not results.classes)
        return Findings(
            model=request.model,
            status=Status.FINDINGS if positive else Status.NO_FINDINGS,
            exam_evaluations=said.evaluations,
            exam_measurements=said.measurements,
            key_images=_pictures(request, plan, attention),
            limits=(
                *results.limits,
                *threshold_limits(results, request.thresholds),
                "Attention shows what the score rests on; it marks no disease.",
                f"{len(plan.places)} tiles were looked at, {plan.looked_at_mm2:.1f} mm2 of tissue.",
                "Only what is named here was looked for; nothing else was assessed.",
            ),
            parameters=parameters(manifest),
            seconds=stages.seconds,
        )


def _bag(request: SlideRequest, manifest: ModelManifest, plan: TilePlan) -> Floats:
    """(tile, feature)."""
    spec = manifest.networks[0]
    network = loaded(request.networks, spec)
    rows = [
        run_scores(network, spec, items)
        for items in batches(tiles_of(request.slide, plan, manifest), spec.batch)
    ]
    return np.concatenate(rows)


def _attended(request: SlideRequest, manifest: ModelManifest, bag: Floats) -> tuple[Floats, Floats]:
    """Scores (1, class), through `postprocess:`, and the attention of each tile, which adds to 1.

    Raises:
        ModelError: the attention network has other outputs, or its attention adds to nothing.
    """
    spec = manifest.networks[1]
    outputs = loaded(request.networks, spec).run({spec.input_name: bag[np.newaxis]})
    if SCORE not in outputs or ATTENTION not in outputs:
        raise ModelError(f"network {spec.name} gives no '{SCORE}' and '{ATTENTION}'")
    attention = np.asarray(outputs[ATTENTION], np.float64).reshape(-1)
    if len(attention) != len(bag):
        raise ModelError(
            f"network {spec.name} gives attention for {len(attention)} of {len(bag)} tiles"
        )
    attention = attention - min(0.0, float(attention.min()))
    total = float(attention.sum())
    if total <= 0.0:
        raise ModelError(f"network {spec.name} pays attention to no tile")
    raw = np.asarray(outputs[SCORE], np.float32).reshape(1, -1)
    scores = activated(raw, manifest.postprocess, request.thresholds)
    return scores, np.asarray(attention / total, np.float32)


def _pictures(request: SlideRequest, plan: TilePlan, attention: Floats) -> tuple[KeyImage, ...]:
    """The fewest tiles that hold half of the attention, and the first of them by themselves."""
    order = np.argsort(-attention, kind="stable")
    held = np.cumsum(attention[order])
    count = int(np.searchsorted(held, _MARKED)) + 1
    chosen = np.zeros(len(attention), np.float32)
    chosen[order[:count]] = 1.0
    mask = on_grid(plan, chosen) == 1.0
    caption = f"{count} of {len(attention)} tiles hold half of the attention"
    pictures = [overview_picture(request.slide, plan, [(mask, _COLOUR, "Attention")], caption)]
    for rank, number in enumerate(order[:MOST_TILES], start=1):
        told = f"Tile {rank} by attention, {100 * float(attention[number]):.1f} % of it"
        pictures.append(tile_picture(request.slide, plan, int(number), told))
    return tuple(pictures)
