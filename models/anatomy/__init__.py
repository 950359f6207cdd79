"""Shared anatomy of the trunk: vertebrae, bones, organs and muscle groups in a CT."""
