"""`tolerance:` and `precisions:` of a network name what could really run it so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic_core import PydanticCustomError

from config.messages import close_to, listed, refusal
from config.runtimes import FP32, LOWERED, PROVIDERS, lowered_keys


def tolerance_faults(
    precisions: Iterable[str], tolerance: Iterable[str]
) -> Iterator[PydanticCustomError]:
    """What of them would never be used.

    Args:
        precisions: first choice first. tolerance: its keys.
    """
    precisions, tolerance = tuple(precisions), tuple(tolerance)
    for key in tolerance:
        yield from _key(key, precisions)
    if FP32 not in precisions:
        yield refusal(
            "a network must be provable on the CPU, which runs fp32",
            f"write [{', '.join((*precisions, FP32))}]",
            at="precisions",
        )
    first = precisions[0]
    keys = lowered_keys(first)
    if first != FP32 and not set(keys) & set(tolerance):
        yield refusal(
            f"{first} is the first choice and is never taken: no tolerance is for it",
            f"add '{keys[0]}: ...' below 'tolerance:' with what the golden case may differ there "
            f"({listed(keys)}), or write [{FP32}]",
            at="precisions",
        )


def _key(key: str, precisions: tuple[str, ...]) -> Iterator[PydanticCustomError]:
    at = "tolerance" if "." in key else f"tolerance.{key}"
    name, _, precision = key.partition("/")
    words = {known: word for word, known in PROVIDERS.items()}
    if name not in words:
        meant = close_to(name, words)
        yield refusal(
            f"nothing that runs networks is called '{name}'",
            f"did you mean '{meant}'?" if meant else f"write {listed(words)}",
            at=at,
        )
    elif precision and precision not in LOWERED.get(words[name], ()):
        able = [known for known, word in words.items() if word in LOWERED]
        other = f"; '/fp16' and '/bf16' stand behind {listed(able)}" if able else ""
        yield refusal(
            f"{name} never runs a network in '{precision}'", f"write '{name}'{other}", at=at
        )
    elif key.endswith("/"):
        yield refusal("a precision is missing behind the /", f"write '{name}'", at=at)
    elif precision and precision not in precisions:
        yield refusal(
            f"never used: 'precisions' of the network does not name {precision}",
            f"add 'precisions: [{precision}, {FP32}]', or remove this tolerance",
            at=at,
        )
