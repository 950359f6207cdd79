"""Lung nodules on chest CT: found by two networks, measured by plain code."""
