"""`schedule:` of a route: the hours in which it applies."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from config.messages import close_to, listed, refusal
from config.schema.base import Section

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def _day(text: str) -> str:
    lowered = text.lower()
    found = [day for day in DAYS if len(lowered) >= 2 and day.startswith(lowered)]
    if len(found) != 1:
        meant = close_to(lowered, DAYS)
        remedy = f"did you mean '{meant}'?" if meant else f"write {listed(DAYS)}"
        raise refusal("this is not a day of the week", remedy)
    return found[0]


def _clock(text: str) -> str:
    if text in ("24:00", "24:0"):
        raise refusal("a day ends at 00:00 of the next", 'write "00:00"')
    if not _CLOCK.fullmatch(text):
        raise refusal("this is not a time of the day", 'write hours and minutes, such as "20:00"')
    return text


Clock = Annotated[
    str,
    AfterValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}),
]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "enum": list(DAYS)})]


class Schedule(Section):
    """A time of the day, from minute to minute, on some days; it may pass midnight."""

    days: tuple[Day, ...] = Field(
        default=DAYS,
        title="Days",
        description="On which the hours begin; left out: every day.",
        min_length=1,
        examples=["[monday, friday]"],
    )
    start: Clock = Field(
        default="00:00", alias="from", title="From", description="Local time.", examples=["20:00"]
    )
    end: Clock = Field(
        default="00:00",
        alias="to",
        title="To",
        description="Local time; earlier than 'from' means on the next day.",
        examples=["07:00"],
    )
    outside: Literal["skip", "wait"] = Field(
        default="skip",
        title="Outside these hours",
        description="'skip': the route does not apply to studies that are complete at another "
        "time. 'wait': it does, but the analysis waits until the hours begin.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Schedule:
        if (
            self.start == self.end
            and self.model_fields_set & {"start", "end"}
            and self.start != "00:00"
        ):
            raise refusal(
                "the hours begin and end at the same time",
                "leave out 'from' and 'to' for the whole day, or correct one of them",
            )
        return self

    def minutes(self) -> tuple[int, int]:
        """Begin, and length of the window, in minutes; 1440 is a whole day."""
        begin, end = (_minutes(text) for text in (self.start, self.end))
        return begin, (end - begin) % 1440 or 1440


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
