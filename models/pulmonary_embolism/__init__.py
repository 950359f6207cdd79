"""Pulmonary embolism: is there a clot in an opacified pulmonary artery, and where."""
