"""`signatures:` whose model packages may run here."""

from __future__ import annotations

from pydantic import Field

from config.fields import FolderPath
from config.schema.base import Section


class Signatures(Section):
    """The site's key ring."""

    keys: FolderPath | None = Field(
        default=None,
        title="Folder of public keys",
        description="One NAME.pem for each maker whose packages may run here. A package that none "
        "of them signed is refused, unless its model says 'unsigned: true'.",
        examples=["./keys"],
    )
