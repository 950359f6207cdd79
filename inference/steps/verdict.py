"""How a step says that this series must not be analysed."""

from __future__ import annotations


class NothingLeft(Exception):
    """The pixels contradict what the package expects; the message is the reason, for people.

    Not an error of the node: the built-in pipelines turn it into "not eligible".
    """
