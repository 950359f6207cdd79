"""`workers:` the processes that run the networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.schema.base import Section

Provider = Literal["tensorrt", "cuda", "cpu"]


class Workers(Section):
    """How many, how large, on what."""

    count: int = Field(
        default=1,
        title="Worker processes",
        description="Jobs at the same time.",
        ge=1,
        le=64,
        examples=[1],
    )
    memory_mb: int | None = Field(
        default=None,
        title="Memory of one job",
        description="A job that takes more is ended; left out: what the package says.",
        ge=256,
        le=1048576,
        examples=[4096],
    )
    time_limit_s: float | None = Field(
        default=None,
        title="Time of one job",
        description="A job that takes longer is ended; left out: what the package says.",
        ge=1,
        le=86400,
        examples=[600],
    )
    providers: tuple[Provider, ...] = Field(
        default=("tensorrt", "cuda", "cpu"),
        title="Execution providers",
        description="Tried in this order; those that this computer lacks are passed over.",
        min_length=1,
        examples=["[cpu]"],
    )
    threads: int | None = Field(
        default=None,
        title="Threads of one worker",
        description="Left out: the cores of this computer, shared among the workers.",
        ge=1,
        le=256,
        examples=[2],
    )
