"""`feedback:` what readers send back about results."""

from __future__ import annotations

from pydantic import Field

from config.fields import CodeAndScheme
from config.schema.base import Section


class AssessmentCodes(Section):
    """Codes by which the viewers of this site say what a reader thinks of a finding."""

    accepted: tuple[CodeAndScheme, ...] = Field(
        default=(),
        title="Accepted",
        description="Code value and coding scheme designator, joined by ^.",
        examples=["[ACC^99SITE]"],
    )
    rejected: tuple[CodeAndScheme, ...] = Field(
        default=(),
        title="Rejected",
        description="Code value and coding scheme designator, joined by ^.",
        examples=["[REJ^99SITE]"],
    )
    corrected: tuple[CodeAndScheme, ...] = Field(
        default=(),
        title="Corrected",
        description="Code value and coding scheme designator, joined by ^.",
        examples=["[MOD^99SITE]"],
    )


class Feedback(Section):
    """Reader feedback: see config/FEEDBACK.md."""

    assessment_codes: AssessmentCodes = Field(
        default_factory=AssessmentCodes,
        title="Assessment codes",
        description="Understood in received structured reports beside ACCEPTED^99VIGIE, "
        "REJECTED^99VIGIE and CORRECTED^99VIGIE.",
        examples=["{accepted: [ACC^99SITE], rejected: [REJ^99SITE]}"],
    )
