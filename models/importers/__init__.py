"""Reads what other frameworks write about a network, as data; nothing of it is ever executed.

What is not understood is named, with its place and what to do. No module here imports a
framework; those that must lie in `framework/` and run in another interpreter.
"""
