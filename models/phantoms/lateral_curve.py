"""A scoliosis of a given angle: how far the spine swings to the sides, and how bodies turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.phantoms.fractures import SpineOptions
from models.phantoms.frame import Frame
from models.phantoms.person import Person
from models.phantoms.shapes import Field

#: Half a wave of the lateral course for a person of scale 1, mm (`frame`).
_HALF_WAVE_MM = 190.0


def excursion_mm(person: Person, spine: SpineOptions) -> float:
    """Amplitude of a lateral course whose steepest places lean apart by the angle of Cobb."""
    half = np.radians(spine.cobb_degrees) / 2
    return float(np.tan(half) * _HALF_WAVE_MM * person.scale / np.pi)


def curved(frame: Frame, spine: SpineOptions, z: Field) -> Frame:
    """The frame with its vertebrae turned, most where the course bends most; else unchanged."""
    if not spine.cobb_degrees or not spine.turn_degrees:
        return frame
    bend = -np.gradient(frame.slope_x, z)
    # At both ends of the grid a gradient of a gradient is of one side only.
    most = float(np.abs(bend[2:-2]).max())
    turn = np.radians(spine.turn_degrees) * np.clip(bend / most, -1, 1)
    return replace(frame, turn=np.asarray(turn, np.float32))


def behind(frame: Frame, mm: float) -> tuple[Field, Field]:
    """Offsets for a sweep that lies `mm` behind vertebrae that may be turned."""
    if frame.turn is None:
        return frame.spine
    aside, ahead = np.sin(frame.turn) * mm, (1 - np.cos(frame.turn)) * mm
    return (
        np.asarray(frame.spine_x - aside, np.float32),
        np.asarray(frame.spine_y - ahead, np.float32),
    )
