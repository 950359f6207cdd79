"""`python -m node demo`: everything once, with a small PACS beside it."""
