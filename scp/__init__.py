"""The front door: DICOM associations in, stored instances out."""
