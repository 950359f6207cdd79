"""What every import has in common once the sandbox has done its part: the draft."""

from __future__ import annotations

import numpy as np

from config.import_form import ImportForm
from models.importers.foreign import ForeignModel
from models.registry import file_sha256
from node.importing.draft import CardFacts, PackageDraft
from node.importing.foreign_manifest import Exported, manifest_of, steps_in_words
from node.importing.sandbox import Isolation


def draft_of(
    name: str,
    model: ForeignModel,
    form: ImportForm,
    exported: Exported,
    story: tuple[str, Isolation],
) -> PackageDraft:
    """A package without parity.

    Args:
        story: where the model came from, and how its files were read.
    """
    origin, isolation = story
    read = (*sorted((model.folder / "configs").glob("*")), model.weights)
    files = {
        path.relative_to(model.folder).as_posix(): file_sha256(path)
        for path in read
        if path.is_file()
    }
    written = manifest_of(model, form, exported, name, files)
    with np.load(exported.golden, allow_pickle=False) as arrays:
        golden = {key: arrays[key] for key in arrays.files}
    names = [name for name, _ in exported.outputs]
    keys = ["net"] if len(names) == 1 else [f"net.{name}" for name in names]
    card = CardFacts(
        origin=origin,
        licence=form.licence or model.licence,
        intended_use=written.manifest["intended_use"],
        network=exported.sentence,
        steps=steps_in_words(written.manifest),
        notes=(*exported.notes, *written.notes),
        unknown=(
            "how accurate the model is on patients of this site: evaluate it before use",
            "how accurate it is on scanners, protocols and diseases that its authors did not test",
        ),
        private_names=written.private,
        isolation=isolation,
    )
    return PackageDraft(
        manifest=written.manifest,
        files={"weights/net.onnx": exported.network},
        golden_inputs={"net": golden["input"]},
        golden_expected={
            key: golden[f"output_{name}"] for key, name in zip(keys, names, strict=True)
        },
        parity=(),
        card=card,
    )
