"""The same maps give the same boxes as MONAI's own detector."""

from __future__ import annotations

import numpy as np
import pytest

from inference.steps.boxes import BoxRule, detect

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make import-test`")
pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")

SHAPES = ((6, 8, 4), (8, 6, 5), (10, 10, 6))
LEVELS = (1, 2, 4)


def _maps(rng: np.random.Generator, size: tuple[int, ...], kinds: int) -> tuple[list, list]:
    classes, codes = [], []
    for level in range(3):
        grid = (size[0] >> (level + 2), size[1] >> (level + 2), size[2] >> (level + 1))
        classes.append(rng.normal(-3, 1.5, (len(SHAPES) * kinds, *grid)).astype(np.float32))
        codes.append(rng.normal(0, 1.0, (len(SHAPES) * 6, *grid)).astype(np.float32))
    codes[0][3::6, 0, 0, 0] = 30.0
    return classes, codes


@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize("cut", [0, 5])
def test_every_box_score_and_label_equals_monais_in_its_order(kinds: int, cut: int) -> None:
    from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
    from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape

    size = (96, 64, 48)
    classes, codes = _maps(np.random.default_rng(3 + kinds), size, kinds)

    class Fixed(torch.nn.Module):
        """Stands for the network: the maps are given."""

        spatial_dims, num_classes, num_anchors = 3, kinds, len(SHAPES)
        size_divisible = (16, 16, 8)
        cls_key, box_reg_key = "classification", "box_regression"

        def forward(self, images):  # noqa: ANN001, ANN202
            return {
                "classification": [torch.from_numpy(level[None]) for level in classes],
                "box_regression": [torch.from_numpy(level[None]) for level in codes],
            }

    detector = RetinaNetDetector(
        network=Fixed(),
        anchor_generator=AnchorGeneratorWithAnchorShape(LEVELS, SHAPES),
        spatial_dims=3,
        num_classes=kinds,
        size_divisible=(16, 16, 8),
    )
    detector.set_box_selector_parameters(
        score_thresh=0.02, topk_candidates_per_level=1000, nms_thresh=0.22, detections_per_img=300
    )
    detector.eval()
    inner = (size[0] - cut, size[1], size[2])
    with torch.no_grad():
        theirs = detector(torch.zeros(1, 1, *inner))[0]
    rule = BoxRule(
        anchors=SHAPES, scales=LEVELS, score_above=0.02, candidates=1000, overlap=0.22, at_most=300
    )
    ours = detect(classes, codes, rule, padded=size, size=inner)
    assert len(ours) == len(theirs[detector.pred_score_key]) > 100
    np.testing.assert_allclose(
        ours.corners, theirs[detector.target_box_key].numpy(), atol=2e-4, rtol=1e-5
    )
    np.testing.assert_allclose(ours.scores, theirs[detector.pred_score_key].numpy(), atol=2e-7)
    np.testing.assert_array_equal(ours.labels, theirs[detector.target_label_key].numpy())
