"""Pipelines that need no code in the package: steps, network and results are all data."""
