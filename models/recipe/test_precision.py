"""Layers compute with fewer bits where the processor does so in hardware, losses never do."""

from __future__ import annotations

import torch

from models.recipe.precision import mixed


def test_products_are_short_only_where_the_processor_has_them() -> None:
    fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    weights, data = torch.randn(4, 4), torch.randn(4, 4)
    with mixed():
        product = weights @ data
    assert product.dtype is (torch.bfloat16 if fast else torch.float32)
    assert (weights @ data).dtype is torch.float32
