"""Ratios against peers, measured in the same run (`make bench`); no test depends on a clock."""
