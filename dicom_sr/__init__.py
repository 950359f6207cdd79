"""Findings in, DICOM result objects out; one module per IOD."""
