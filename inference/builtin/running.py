"""A package's networks over a prepared image: the one place where networks are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference import windows
from inference.steps.image import Image
from inference.steps.interest import coarse, scores_outside
from models.manifest import ModelManifest, NetworkSpec
from models.manifest_steps import Argmax, PostStep, Softmax
from node.domain.errors import ModelError
from node.domain.imaging import Network

Floats = NDArray[np.float32]


def run_maps(manifest: ModelManifest, networks: Mapping[str, Network], image: Image) -> Image:
    """The mean of the outputs of all networks of the package, on the grid of the image.

    A network of two axes looks at the planes along axis 0. Where the image has a region, only
    windows that touch it are run; everything outside it is background.

    Raises:
        ModelError: a network is not loaded, takes other channels, or failed.
    """
    mean: Floats | None = None
    for spec in manifest.networks:
        output = _map_of(loaded(networks, spec), spec, image)
        mean = output if mean is None else mean + output
    assert mean is not None
    if len(manifest.networks) > 1:
        mean /= np.float32(len(manifest.networks))
    if image.region is not None:
        competing = any(isinstance(step, Softmax | Argmax) for step in manifest.postprocess)
        mean = scores_outside(image.region, mean, competing=competing)
    return image.with_values(mean)


def gives_labels(manifest: ModelManifest) -> bool:
    """The largest channel is all that is asked of one network of three axes."""
    behind = manifest.postprocess
    first = next((step for step in behind if not isinstance(step, Softmax)), None)
    return (
        len(manifest.networks) == 1
        and len(manifest.networks[0].patch) == 3
        and isinstance(first, Argmax)
    )


def after_argmax(steps: Sequence[PostStep]) -> tuple[PostStep, ...]:
    """What is left to do behind `run_labels`."""
    first = next(at for at, step in enumerate(steps) if isinstance(step, Argmax))
    return tuple(steps[first + 1 :])


def run_labels(manifest: ModelManifest, networks: Mapping[str, Network], image: Image) -> Image:
    """`run_maps` and `argmax` of it, in the memory of one slab of windows.

    A hundred classes on the grid of a whole chest need several GB; their labels a few MB.

    Raises:
        ModelError: as `run_maps`.
    """
    (spec,) = manifest.networks
    network = loaded(networks, spec)
    check_channels(spec, len(image.values))
    values = np.ascontiguousarray(image.values, np.float32)
    cut = windows.Windowing.of(spec.patch, spec.windows)
    labels = windows.run_labels(network.run, values, cut, _touching(image))
    if image.region is not None:
        labels[~image.region.mask] = image.region.step.background
    return image.with_values(labels[np.newaxis])


def loaded(networks: Mapping[str, Network], spec: NetworkSpec) -> Network:
    """The network of that name. Raises ModelError when it is not loaded."""
    try:
        return networks[spec.name]
    except KeyError:
        raise ModelError(f"network '{spec.name}' is not loaded; check model.yaml") from None


def check_channels(spec: NetworkSpec, channels: int) -> None:
    """Raises ModelError where the steps make other channels than the network takes."""
    wanted = spec.inputs[0].count
    if channels != wanted:
        raise ModelError(
            f"network {spec.name} takes {wanted} channels, the steps before it make {channels}; "
            "correct 'preprocess:' in model.yaml"
        )


def _touching(image: Image) -> windows.Region | None:
    return None if image.region is None else windows.Region(mask=image.region.mask)


def _map_of(network: Network, spec: NetworkSpec, image: Image) -> Floats:
    check_channels(spec, len(image.values))
    values = np.ascontiguousarray(image.values, np.float32)
    region = _touching(image)
    cut = windows.Windowing.of(spec.patch, spec.windows)
    if len(spec.patch) == 3:
        if region is None:
            return network.run_windows(values)
        return windows.run_windows(network.run, values, cut, region)
    slices = np.ascontiguousarray(values.transpose(1, 0, 2, 3))
    if region is None:
        outputs = network.run_stack(slices)
    else:
        outputs = windows.run_stack(network.run, slices, cut, region)
    return np.ascontiguousarray(outputs.transpose(1, 0, 2, 3))


def run_scores(network: Network, spec: NetworkSpec, items: Sequence[Floats]) -> Floats:
    """One row of scores for each item of (channel, *patch): (item, class) float32."""
    for item in items:
        check_channels(spec, len(item))
        if item.shape[1:] != spec.patch:
            raise ModelError(
                f"network {spec.name} takes {spec.patch}, the steps before it make "
                f"{item.shape[1:]}; add resize, crop_centre or pad to 'preprocess:'"
            )
    step = max(1, spec.batch)
    rows = [network.run(np.stack(items[at : at + step])) for at in range(0, len(items), step)]
    scores = np.concatenate(rows)
    # A classifier whose output is a map of scores says the mean of it.
    return np.asarray(scores.reshape(*scores.shape[:2], -1).mean(axis=2), np.float32)


def run_heads(
    network: Network,
    spec: NetworkSpec,
    image: Floats,
    names: Sequence[str],
    region: NDArray[np.bool_] | None = None,
) -> dict[str, Floats]:
    """Several outputs of one network over a whole image, each on its own coarser grid.

    Args:
        image: (channel, *spatial).
        names: of the outputs.
        region: (*spatial), True somewhere: windows that do not touch it are not run, and cells
            of the maps that do not touch it hold -inf.

    Returns:
        (channel, *spatial of the output) of each, by name.
    """
    check_channels(spec, len(image))

    def infer(patches: Floats) -> list[Floats]:
        outputs = network.run({spec.input_name: patches})
        return [outputs[name] for name in names]

    maps = windows.run_maps(
        infer,
        np.ascontiguousarray(image, np.float32),
        windows.Windowing.of(spec.patch, spec.windows),
        None if region is None else windows.Region(mask=region),
    )
    if region is not None:
        strides = {one.name: one.stride or (1,) * region.ndim for one in spec.outputs}
        for name, found in zip(names, maps, strict=True):
            found[:, ~coarse(region, found.shape[1:], strides[name])] = -np.inf
    return dict(zip(names, maps, strict=True))
