"""models/IMPORT.md names every word that the importers understand, and every key of the form."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from config.import_form import ImportForm, LabelForm
from models.importers.monai_network import NETWORKS
from models.importers.monai_results import BEHIND
from models.importers.monai_transforms import BEFORE

PAGE = (Path(__file__).resolve().parents[3] / "models" / "IMPORT.md").read_text()


def test_every_transform_and_network_of_the_vocabulary_stands_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert not {*BEFORE, *BEHIND} - words
    # Families are written short.
    families = ("DenseNet", "Densenet", "SEResN", "resnet")
    other = {"BasicUnet", "Unet", "FlexUNet"}
    assert not {n for n in NETWORKS if not n.startswith(families)} - words - other


def test_every_key_of_the_form_stands_on_the_page() -> None:
    for section in (ImportForm, LabelForm):
        for key in section.model_fields:
            assert f"`{key}`" in PAGE, key


def test_the_example_of_a_form_is_valid() -> None:
    example = next(
        block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S) if "patch" in block
    )
    form = ImportForm.model_validate(yaml.safe_load(example))
    assert form.labels[1].name == "kidney_left"
