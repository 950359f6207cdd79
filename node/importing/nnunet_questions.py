"""The form of an nnU-Net folder, with what it says itself; read without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

from models.importers.nnunet_folder import find_results
from models.importers.nnunet_json import Doubts, Node, read_json
from models.importers.nnunet_labels import read_channels, read_labels
from models.importers.nnunet_plans import DATASET, PLANS
from models.importers.structures import structure_of
from node.importing.importer import ImportRequest
from node.importing.nnunet_recipe import AXIAL_LPS, TURNED_RAS

_EXAMPLE = "{code: [108369006, SCT, Neoplasm], kind: lesion, site: [10200004, SCT, Liver]}"


def questions(request: ImportRequest) -> Iterator[str]:
    """Lines of YAML; every key may be left out.

    Raises:
        ImportRefused: the folder holds no model of nnU-Net v2, or its labels are not understood.
    """
    results = find_results(request.source)
    plans = read_json(results.folder / PLANS)
    doubts = Doubts(DATASET)
    dataset = Node(read_json(results.folder / DATASET), "", doubts)
    labels, channels = read_labels(dataset), read_channels(dataset)
    doubts.settle()
    turned = str(plans.get("image_reader_writer", "")).endswith("WithReorient")
    folds = ", ".join(fold.removeprefix("fold_") for fold in results.folds)
    yield "# Everything here may be left out; each key is explained in models/IMPORT_NNUNET.md."
    yield f"# {plans.get('dataset_name', 'unnamed')}; input: {', '.join(channels)}."
    yield "# title: Organs on CT        # as it stands on reports"
    yield 'licence: ""'
    yield 'reference: ""'
    yield "# intended_use: one sentence: which finding, which images, which patients"
    yield f"# modality: {'CT' if channels == ('CT',) else 'MR'}"
    yield f"axes: {TURNED_RAS if turned else AXIAL_LPS}                   # of the training images"
    yield f"folds: [{folds}]"
    unsure = [label.name for label in labels.foreground if _is_unsure(label.name)]
    if unsure:
        yield "# Without a standard code, or lesions whose organ the name does not say:"
        yield "# labels:"
    for name in unsure:
        yield f'#  "{name}": {_EXAMPLE}'


def _is_unsure(name: str) -> bool:
    found = structure_of(name)
    return found.private or (found.lesion and found.site is None)
