"""The words that every room speaks: frozen dataclasses over the standard library and NumPy."""
