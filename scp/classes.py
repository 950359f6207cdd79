"""Which SOP classes and transfer syntaxes are storage: from the standard's registry, in pydicom."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import sop_class
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass

VERIFICATION = UID("1.2.840.10008.1.1")
#: Classes named "... Storage" that are stored by other services than C-STORE.
_OTHER_SERVICES = ("Commitment", "Directory", "Management", "Media Creation")


def _storage_classes() -> frozenset[str]:
    """Every storage SOP class of PS3.6 table A-1 and PS3.4 B.5, retired ones too."""
    named = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class"
        and "Storage" in name
        and not any(word in name for word in _OTHER_SERVICES)
    }
    return frozenset(named | set(sop_class._STORAGE_CLASSES.values()))


STORAGE_CLASSES = _storage_classes()
TRANSFER_SYNTAXES = frozenset(
    uid for uid, (_, kind, *_rest) in UID_dictionary.items() if kind == "Transfer Syntax"
) | {"1.2.840.113619.5.2"}


def register(private: Iterable[str]) -> None:
    """Let pynetdicom serve C-STORE for retired and private classes too (it aborts otherwise)."""
    known = set(sop_class._STORAGE_CLASSES.values())
    for uid in sorted((STORAGE_CLASSES | set(private)) - known):
        keyword = "Storage" + uid.replace(".", "_")
        sop_class.register_uid(uid, keyword, StorageServiceClass)


def supported(
    proposed: Iterable[PresentationContext], private: frozenset[str]
) -> list[PresentationContext]:
    """What to accept of an association's proposal (PS3.8 9.3.2.2).

    Built from the proposal instead of from all classes times all syntaxes: any transfer
    syntax of the standard is accepted, Explicit VR Little Endian preferred, then in the
    requestor's order, so that a compressed image stays as it was sent.
    """
    syntaxes: dict[str, dict[str, None]] = {}
    for context in proposed:
        uid = str(context.abstract_syntax)
        if uid in STORAGE_CLASSES or uid in private or uid == VERIFICATION:
            offered = [str(s) for s in context.transfer_syntax if str(s) in TRANSFER_SYNTAXES]
            syntaxes.setdefault(uid, {}).update(dict.fromkeys(offered))
    accepted = []
    for uid, offered_once in syntaxes.items():
        if not offered_once:
            continue
        ordered = sorted(offered_once, key=lambda syntax: syntax != ExplicitVRLittleEndian)
        context = PresentationContext()
        context.abstract_syntax = UID(uid)
        context.transfer_syntax = [UID(syntax) for syntax in ordered]
        accepted.append(context)
    return accepted
