"""The path of a study, one module per step."""
