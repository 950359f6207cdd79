"""The kill -9 campaign: acknowledged means present, byte-identical, exactly once, and answered."""
