"""Readers of other frameworks' model folders, as data: no code of theirs is run here."""
