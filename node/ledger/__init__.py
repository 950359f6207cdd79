"""The ledger: every study, series verdict, job, result object and delivery, in one database.

`Ledger` is the only door to it. "Where is this study and why" is one query.
"""

from node.ledger.ledger import Ledger

__all__ = ["Ledger"]
