"""A scanner and a browser beside a node in this process."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.presentation import build_context

from node.pipeline.checkpoint import answered_to_us


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def send(port: int, paths: Sequence[Path]) -> str:
    """Store images on one association; returns their Study Instance UID."""
    images = [dcmread(path) for path in paths]
    kinds = {(image.SOPClassUID, image.file_meta.TransferSyntaxUID) for image in images}
    entity = AE(ae_title="SCANNER")
    contexts = [build_context(kind, [syntax]) for kind, syntax in sorted(kinds)]
    association = entity.associate("127.0.0.1", port, ae_title="VIGIE", contexts=contexts)
    assert association.is_established
    answered_to_us(association)
    try:
        for image in images:
            assert association.send_c_store(image).Status == 0
    finally:
        association.release()
    return str(images[0].StudyInstanceUID)
