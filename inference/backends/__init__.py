"""What runs a network: one module a runtime behind one interface, chosen by name.

`registry.py` finds them; only a runtime that the configuration names is ever imported.
"""
