"""`http:` the port for health and metrics."""

from __future__ import annotations

from pydantic import Field

from config.fields import Host, Port, Secret
from config.schema.base import Section


class Web(Section):
    """`/healthz`, `/readyz` and `/metrics`; no patient data."""

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
