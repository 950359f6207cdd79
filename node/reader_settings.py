"""From `appliance.yaml` to what readers may say: tokens of the API, codes of their viewers."""

from __future__ import annotations

from collections.abc import Mapping

from config.schema import Appliance
from node.access import Tokens
from node.domain.errors import ConfigError
from node.domain.feedback import Answer

#: Shortest token of the API.
API_TOKEN_CHARACTERS = 16


def api_settings(appliance: Appliance) -> Tokens:
    """Who may use the API; raises ConfigError for a token that is short, or stands for two."""
    web = appliance.http
    tokens = {f"http.api_tokens.{name}": file.read() for name, file in web.api_tokens.items()}
    if web.api_token is not None:
        tokens["http.api_token"] = web.api_token.read()
    owners: dict[str, str] = {}
    for key, token in tokens.items():
        if len(token) < API_TOKEN_CHARACTERS:
            raise ConfigError(
                f"{key}: the token has fewer than {API_TOKEN_CHARACTERS} characters - write a "
                "random text into its file (openssl rand -hex 32)"
            )
        if owners.setdefault(token, key) != key:
            raise ConfigError(
                f"{key}: this is the token of {owners[token]} too - give each its own text"
            )
    shared = tokens.pop("http.api_token", "")
    return Tokens(
        shared=shared, named={key.rpartition(".")[2]: token for key, token in tokens.items()}
    )


def assessment_words(appliance: Appliance) -> Mapping[tuple[str, str], Answer]:
    """What the codes of the site's viewers say of a finding, by code value and scheme."""
    codes = appliance.feedback.assessment_codes
    words: dict[tuple[str, str], Answer] = {}
    for answer in Answer:
        for text in getattr(codes, answer.value):
            value, _, scheme = text.partition("^")
            words[value, scheme] = answer
    return words
