"""Findings in, DICOM result objects out: one file per IOD."""
