"""Slices looked at on two cores at once: what NumPy does to a slice leaves the interpreter free.

While slices are measured no network runs, and its core would stand idle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

#: More would wait for the interpreter, and receiving needs a core of its own.
THREADS = 2


def each(function: Callable[[Given], Made], items: Iterable[Given]) -> list[Made]:
    """`[function(item) for item in items]`; the first exception is raised."""
    threads = min(THREADS, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads, thread_name_prefix="slices") as pool:
        return list(pool.map(function, items))
