"""Collects what stands against an import, so that all of it is told at once."""

from __future__ import annotations

from models.importers.monai_values import Value, unknowns
from node.domain.errors import ImportFault, ImportRefused


class Faults:
    """Faults and notes of one import, in the order in which they were met."""

    def __init__(self) -> None:
        self._faults: list[ImportFault] = []
        self.notes: list[str] = []

    def add(self, where: str, why: str, remedy: str) -> None:
        """One more fault; the same is told once."""
        fault = ImportFault(where=where, why=why, remedy=remedy)
        if fault not in self._faults:
            self._faults.append(fault)

    def note(self, text: str) -> None:
        """Something that the card must say."""
        if text not in self.notes:
            self.notes.append(text)

    def known(self, value: Value) -> bool:
        """True if a value is understood; else its parts become faults."""
        found = unknowns(value)
        for part in found:
            self.add(part.where, part.why, part.remedy)
        return not found

    def refuse(self) -> None:
        """Raise what was collected.

        Raises:
            ImportRefused: there is at least one fault.
        """
        if self._faults:
            raise ImportRefused(faults=self._faults)
