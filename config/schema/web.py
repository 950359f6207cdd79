"""`http:` the port for health, metrics and the API."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from config.fields import EntryName, Host, Port, Secret
from config.schema.base import Section


class Web(Section):
    """`/healthz`, `/readyz`, `/metrics` and the API of reader feedback; no patient names."""

    host: Host = Field(
        default="127.0.0.1",
        title="Listen on address",
        description="127.0.0.1 only inside this computer, 0.0.0.0 on every network card.",
        examples=["127.0.0.1"],
    )
    port: Port = Field(
        default=8085, title="Port", description="TCP port for HTTP.", examples=[8085]
    )
    metrics_token: Secret | None = Field(
        default=None,
        title="Token for /metrics",
        description="Reference to a file: 'file:/path'. Prometheus sends it as bearer token.",
        examples=["file:/etc/vigie/metrics-token"],
    )
    open_metrics: bool = Field(
        default=False,
        title="Metrics without a token",
        description="Lets everybody who reaches the port read /metrics.",
    )
    api_token: Secret | None = Field(
        default=None,
        title="Token for the API",
        description="Reference to a file: 'file:/path'. For one application, which says in each "
        "answer who the reader is. Without this and 'api_tokens' the API is closed.",
        examples=["file:/etc/vigie/api-token"],
    )
    api_tokens: Mapping[EntryName, Secret] = Field(
        default_factory=dict,
        title="Tokens of readers",
        description="One file for each reader, by name; answers with a reader's token are kept "
        "under that name.",
        examples=["{reader-1: 'file:/etc/vigie/reader-1-token'}"],
    )
