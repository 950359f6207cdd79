"""Labels to Hounsfield units, differently every time: the domain randomisation of training.

Everything works on batches of label images (batch, *spatial) in torch, in 2D and in 3D.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as nnf

from models.phantoms.tissue import BODIES, BONES, MUSCLES, Tissue

T = Tissue
ORGANS = (T.LIVER, T.SPLEEN, T.PANCREAS, T.PELVIC_ORGAN, T.DIAPHRAGM, T.BOWEL_WALL)
VESSELS = (T.ARTERY, T.VEIN, T.HEART, T.THORACIC_VESSEL, T.MESENTERIC_VESSEL)
FATS = (T.SUBCUTANEOUS_FAT, T.VISCERAL_FAT, T.MEDIASTINAL_FAT, T.ARM_FAT)


def _between(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def draw_table(generator: torch.Generator) -> torch.Tensor:
    """(64,) HU of every tissue for one patient and one contrast phase."""
    g = generator
    hu = torch.full((64,), 40.0)
    hu[T.AIR] = -1000.0
    hu[T.TABLE] = _between(g, -600, 200)
    hu[T.CLOTHES] = _between(g, -800, -200)
    hu[T.SKIN] = _between(g, -30, 60)
    fat = _between(g, -118, -88)
    for t in FATS:
        hu[t] = fat + _between(g, -4, 4)
    hu[T.VISCERAL_FAT] += _between(g, 0, 18)
    hu[T.INTERMUSCULAR_FAT] = fat + _between(g, 0, 60)
    muscle = _between(g, 25, 75)
    for t in (*MUSCLES, T.ARM_MUSCLE, T.INTERCOSTAL):
        if t is not T.INTERMUSCULAR_FAT:
            hu[t] = muscle + _between(g, -12, 12)
    hu[T.LINEA_ALBA] = _between(g, -40, 70)
    enhanced = torch.rand((), generator=g).item()
    boost = 0.0 if enhanced < 0.4 else _between(g, 20, 90)
    for t in ORGANS:
        hu[t] = _between(g, 25, 62) + boost * _between(g, 0.3, 1.2)
    hu[T.BOWEL_WALL] = _between(g, 20, 60) + boost * _between(g, 0.0, 1.0)
    if torch.rand((), generator=g).item() < 0.15:
        hu[T.LIVER] = _between(g, -20, 40) + boost
    hu[T.KIDNEY] = _between(g, 25, 40) + boost * _between(g, 1.0, 3.2)
    hu[T.KIDNEY_SINUS] = _between(g, -90, 20)
    if boost and _between(g, 0, 1) < 0.25:
        hu[T.KIDNEY_SINUS] = _between(g, 100, 900)
    for t in VESSELS:
        hu[t] = _between(g, 30, 55) + boost * _between(g, 0.8, 3.0)
    hu[T.MESENTERIC_VESSEL] = _between(g, -20, 50) + boost * _between(g, 0.3, 1.5)
    hu[T.BOWEL_GAS] = _between(g, -1000, -700)
    hu[T.BOWEL_FLUID] = _between(g, 0, 55)
    hu[T.BOWEL_CONTRAST] = _between(g, 70, 700)
    hu[T.STOOL] = _between(g, -90, 70)
    hu[T.BLADDER] = _between(g, -5, 25) if _between(g, 0, 1) < 0.85 else _between(g, 50, 400)
    hu[T.GALLBLADDER] = _between(g, 0, 30)
    hu[T.ASCITES] = _between(g, 0, 30)
    hu[T.LUNG] = _between(g, -920, -650)
    hu[T.LUNG_VESSEL] = _between(g, -300, 60) + boost
    marrow = _between(g, 20, 320)
    for t in (*BONES,):
        hu[t] = marrow * _between(g, 0.85, 1.25)
    same = marrow * _between(g, 0.9, 1.1)
    for t in BODIES:
        hu[t] = same + _between(g, -12, 12)
    hu[T.RIB] = marrow * _between(g, 0.8, 1.6) + 60
    hu[T.ARCH] = marrow * 1.2 + _between(g, 60, 260)
    hu[T.CARTILAGE] = _between(g, 60, 260)
    hu[T.CANAL] = _between(g, 5, 45)
    hu[T.DISC] = _between(g, 50, 120)
    hu[T.METAL] = 3000.0
    hu[T.BREAST] = _between(g, -80, 50)
    hu[T.ARM_SKIN] = hu[T.SKIN]
    return hu


def field(shape: tuple[int, ...], cells: int, generator: torch.Generator) -> torch.Tensor:
    """Smooth random field ~N(0, 1), (batch, channels, *spatial), `cells` bumps an axis."""
    dims = len(shape) - 2
    small = torch.randn(shape[:2] + (cells,) * dims, generator=generator)
    mode = "bicubic" if dims == 2 else "trilinear"
    return nnf.interpolate(small, size=shape[2:], mode=mode, align_corners=False)


def gaussian(image: torch.Tensor, sigma: tuple[float, ...]) -> torch.Tensor:
    """Separable Gaussian blur of (batch, 1, *spatial), sigma in voxels per axis."""
    dims = image.ndim - 2
    for axis, width in enumerate(sigma):
        if width < 0.15:
            continue
        reach = max(1, math.ceil(2.5 * width))
        at = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (at / width) ** 2)
        kernel = kernel / kernel.sum()
        shape = [1] * (dims + 2)
        shape[axis + 2] = kernel.numel()
        padding = [0] * dims
        padding[axis] = reach
        conv = nnf.conv2d if dims == 2 else nnf.conv3d
        image = conv(image, kernel.view(shape), padding=tuple(padding))
    return image


def _flags(tissues: tuple[Tissue, ...]) -> torch.Tensor:
    flags = torch.zeros(64, dtype=torch.bool)
    flags[[int(t) for t in tissues]] = True
    return flags


_BONE = _flags(BONES)
_NOT_SOFT = (
    *FATS, *BONES, T.AIR, T.LUNG, T.BOWEL_GAS, T.TABLE, T.CLOTHES, T.METAL, T.SKIN, T.CANAL, T.DISC
)  # fmt: skip
_SOFT = _flags(tuple(t for t in Tissue if t not in _NOT_SOFT))
_FAT = _flags((T.SUBCUTANEOUS_FAT, T.VISCERAL_FAT))


def render(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """HU of label images.

    Args:
        labels: (batch, *spatial) int64 tissues; 2 mm in-plane.

    Returns:
        (batch, 1, *spatial) float32 HU, without blur and noise.
    """
    tables = torch.stack([draw_table(generator) for _ in range(len(labels))])
    flat = labels.view(len(labels), -1)
    hu = torch.gather(tables, 1, flat).view_as(labels).unsqueeze(1)
    lab = labels.unsqueeze(1)
    # Cortex: bone voxels that touch something else in the plane.
    bone = _BONE[lab].float()
    pool = nnf.max_pool2d if labels.ndim == 3 else nnf.max_pool3d
    kernel = 3 if labels.ndim == 3 else (1, 3, 3)
    pad = 1 if labels.ndim == 3 else (0, 1, 1)
    edge = bone - (1 - pool(1 - bone, kernel, 1, pad))
    # A voxel of a 3D block is wider than a cortex.
    hu = hu + edge * (_between(generator, 100, 500) * (1.0 if labels.ndim == 3 else 0.4))
    # Thin fat between organs and muscles that touch.
    soft = _SOFT[lab].float()
    seam = torch.zeros_like(hu)
    for axis in range(hu.ndim - 2, hu.ndim):
        step = (lab != lab.roll(1, axis)) & (soft > 0) & (soft.roll(1, axis) > 0)
        seam = torch.maximum(seam, step.float())
    patchy = (field(tuple(hu.shape), 12, generator) + _between(generator, -1, 1.2)).clamp(0, 1)
    hu = hu - seam * patchy * _between(generator, 20, 130)
    # Texture: broad shading everywhere, marbled muscle, stranded fat, mottled organs.
    hu = hu + field(tuple(hu.shape), 4, generator) * _between(generator, 0, 7)
    mottle = field(tuple(hu.shape), 60, generator)
    hu = hu + mottle * soft * _between(generator, 0, 16)
    strands = (field(tuple(hu.shape), 70, generator) - 1.4).clamp(min=0)
    return hu + strands * _FAT[lab].float() * _between(generator, 0, 60)
