"""`storage:` where received images and results lie, and for how long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.fields import FolderPath
from config.schema.base import Section


class Storage(Section):
    """The disk of this node."""

    path: FolderPath = Field(
        title="Folder",
        description="Images, results and the ledger; relative to this file. Patient data!",
        examples=["./var"],
    )
    refuse_above_percent: float = Field(
        default=90,
        title="Disk watermark",
        description="When the disk is this full, new images are refused with 'out of resources'.",
        ge=10,
        le=99,
        examples=[90],
    )
    keep_free_gb: float = Field(
        default=5,
        title="Space kept free",
        description="New images are refused also when less than this is free.",
        ge=0,
        le=100000,
        examples=[5],
    )
    retention_days: float = Field(
        default=30,
        title="Retention",
        description="A study is deleted this long after its last image, once every result of it "
        "is delivered (see delete_when). Its images are overwritten when all studies that "
        "share their segment files may go.",
        ge=0,
        le=36500,
        examples=[30],
    )
    delete_when: Literal["proved", "accepted"] = Field(
        default="proved",
        title="Delivered means",
        description="'proved': a study is deleted only when every destination was seen to keep "
        "every result (see destinations.NAME.proof). 'accepted': the answer to C-STORE or STOW-RS "
        "is enough.",
    )
    quarantine_gb: float = Field(
        default=10,
        title="Quarantine",
        description="Space for objects that could not be filed.",
        ge=0,
        le=100000,
        examples=[10],
    )
    segment_mb: int = Field(
        default=128,
        title="Segment size",
        description="Images are appended to files of about this size, which are deleted and used "
        "again as a whole: small ones free the disk sooner, large ones make fewer files.",
        ge=16,
        le=4096,
        examples=[128],
    )
    spare_segments: int = Field(
        default=4,
        title="Spare segments",
        description="Empty segments kept ready on the disk, which makes receiving faster; "
        "as many as there are associations at the same time is best.",
        ge=0,
        le=256,
        examples=[4],
    )
