"""`results:` how result objects look."""

from __future__ import annotations

from pydantic import Field

from config.fields import DicomText, EntryName
from config.schema.base import Section


class Results(Section):
    """The same for all destinations."""

    series_number_base: int = Field(
        default=9000,
        title="First series number",
        description="Results get base + 10 x task + kind, so that they sort behind the images.",
        ge=100,
        le=2147483000,
        examples=[9000],
    )
    patient_identity_on_pages: bool = Field(
        default=True,
        title="Name and ID on the pages",
        description="Burn patient name and ID into the capture pages (BurnedInAnnotation YES).",
    )
    identity_from: EntryName | None = Field(
        default=None,
        title="PACS to ask whose study it is",
        description="Name of a DICOM destination that answers C-FIND. Results then carry the "
        "patient and the accession number that it holds when they are written. Left out: those of "
        "the images.",
        examples=["pacs"],
    )
    manufacturer: DicomText = Field(
        default="Vigie",
        title="Manufacturer",
        description="Manufacturer in every result.",
        examples=["Vigie"],
        min_length=1,
        max_length=64,
    )
