"""Anatomy of the chest by explainable steps, shared by the packages that look at lungs."""
