"""Shared by the packages that look at the trunk: are these its pixels, where its spine runs."""
