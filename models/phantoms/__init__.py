"""Simulated anatomy with exact truth, written as scanners write it. Results on it are simulated.

Seeds below `FIRST_TEST_SEED` train, the others test.
"""

FIRST_TEST_SEED = 1_000_000
