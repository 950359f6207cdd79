"""The printed form of an nnU-Net folder can be used as it is, and asks what is not known."""

from __future__ import annotations

import json
from pathlib import Path

from config.load import read_document
from config.nnunet_form import NnunetForm
from node.importing.form_template import print_form
from node.importing.importer import ImportRequest
from node.importing.sandbox import SandboxLimits
from tests.models.importers.nnunet_documents import small_dataset, small_plans


def test_printed_form_names_folds_and_uncertain_labels(tmp_path: Path) -> None:
    source = tmp_path / "t__p__3d_fullres"
    for fold in ("fold_0", "fold_1"):
        (source / fold).mkdir(parents=True)
        (source / fold / "checkpoint_final.pth").write_bytes(b"")
    (source / "plans.json").write_text(json.dumps(small_plans()))
    (source / "dataset.json").write_text(json.dumps(small_dataset()))
    request = ImportRequest(
        source=source,
        name="abdomen",
        form=None,
        allow_code=False,
        python=None,
        limits=SandboxLimits(),
        scratch=tmp_path,
        tell=lambda _: None,
    )
    text = print_form(request, "nnunet")
    assert '"tumour"' in text
    assert '"liver"' not in text
    form = tmp_path / "form.yaml"
    form.write_text(text)
    read = read_document(form, NnunetForm)
    assert read.folds == ("fold_0", "fold_1")
    assert read.axes == "SPL"
    form.write_text(text.replace("# labels:", "labels:").replace('#  "', '  "'))
    assert read_document(form, NnunetForm).labels["tumour"].kind == "lesion"
