"""bfloat16 only where the processor multiplies it itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.recipe.precision import fast


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", torch.bfloat16),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", torch.bfloat16),
        ("Features\t: fp asimd bf16\n", torch.bfloat16),
        ("flags\t\t: fpu avx2 avx512f\n", torch.float32),
        ("model name\t: amx_bf16\nflags\t\t: fpu\n", torch.float32),
    ],
)
def test_numbers_follow_the_flags_of_the_processor(
    tmp_path: Path, told: str, numbers: torch.dtype
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(told)
    network = nn.Conv3d(1, 2, 3)
    with fast(cpuinfo):
        answer = network(torch.rand(1, 1, 4, 4, 4))
    assert answer.dtype is numbers
    assert network.weight.dtype is torch.float32


def test_a_machine_that_says_nothing_multiplies_float32(tmp_path: Path) -> None:
    with fast(tmp_path / "none"):
        assert nn.Conv3d(1, 1, 3)(torch.rand(1, 1, 4, 4, 4)).dtype is torch.float32
