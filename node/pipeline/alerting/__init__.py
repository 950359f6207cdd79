"""Calling somebody: what is worth it, in which words, by which channel."""
