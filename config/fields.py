"""Kinds of value that more than one section uses, each refusing with its own remedy."""

from __future__ import annotations

import ipaddress
import os
import re
import zoneinfo
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from config.messages import close_to, refusal
from config.places import usable_folder
from config.secret import SecretFile, read_reference

#: PS3.5 table 6.2-1, AE: 16 characters of the default repertoire without backslash and control.
AE_TITLE_LENGTH = 16
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,38}[A-Za-z0-9])?")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_CODED = re.compile(r"[^\^\\\s]{1,64}\^[^\^\\\s]{1,16}")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,15}")


def _ae_title(text: str) -> str:
    stripped = text.strip(" ")
    if not stripped:
        raise refusal("an AE title cannot be empty", "write a name of 1 to 16 characters")
    if stripped != text:
        raise refusal(
            "an AE title cannot begin or end with a space", f"remove the space: {stripped}"
        )
    if "\\" in text:
        raise refusal(
            "an AE title holds a backslash, which DICOM keeps for lists of values",
            f"write it without: {text.replace(chr(92), '') or 'CT1'}",
        )
    if not text.isascii() or not text.isprintable():
        raise refusal(
            "an AE title holds a letter that DICOM does not allow",
            "use letters without accents, digits, - and _",
        )
    if len(text) > AE_TITLE_LENGTH:
        raise refusal(
            f"an AE title has at most {AE_TITLE_LENGTH} characters, this one has {len(text)}",
            "shorten it, and enter the same spelling on the other side",
        )
    return text


def _host(text: str) -> str:
    if "://" in text:
        raise refusal("this is a web address", f"write the name alone: {_bare_host(text)}")
    if re.fullmatch(r"[^:\[\]]+:[0-9]+", text):
        host, _, port = text.partition(":")
        raise refusal(
            "a host is written without its port", f"write {host} here and {port} as 'port:'"
        )
    if re.fullmatch(r"[0-9.]+", text) or ":" in text:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise refusal(
                "this is not an IP address",
                "write four numbers from 0 to 255, for example 192.168.10.20",
            ) from None
        return text
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise refusal(
            "this is neither a host name nor an IP address",
            "write a name such as pacs.hospital.example or an address such as 192.168.10.20",
        )
    return text


def is_loopback(host: str) -> bool:
    """Does a host name or address mean this computer, and never leave it?"""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bare_host(text: str) -> str:
    return re.split(r"[/:?#]", text.partition("://")[2])[0] or "the host"


def _network(value: object) -> IPv4Network | IPv6Network:
    if not isinstance(value, str):
        raise refusal(
            "must be an IP address or network",
            "write one computer as 192.168.10.20, or a network as 192.168.10.0/24",
        )
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        if re.search(r"[A-Za-z]", value) and ":" not in value:
            raise refusal(
                "peers are known by address, not by name",
                "write the IP address, for example 192.168.10.20; 'getent hosts NAME' shows it",
            ) from None
        raise refusal(
            "this is not an IP address or network",
            "write one computer as 192.168.10.20, or a network as 192.168.10.0/24",
        ) from None
    raise refusal(
        "this mixes an address with a network",
        f"write {interface.network} for the whole network, or {interface.ip} for this computer",
    )


def _entry_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        suggestion = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:40].strip("-_")
        raise refusal(
            "a name here consists of 1 to 40 letters, digits, - and _, without spaces",
            f"write it as '{suggestion}'" if suggestion else "choose another name",
        )
    return text


def _uid(text: str) -> str:
    if len(text) > 64 or not _UID.fullmatch(text):
        raise refusal(
            "this is not a DICOM UID",
            "write numbers joined by dots, 64 characters at most, for example 1.3.46.670589.11.0.0",
        )
    return text


def _code(text: str) -> str:
    if _CODE.fullmatch(text.upper()) and not _CODE.fullmatch(text):
        raise refusal("a modality is written in capital letters", f"write {text.upper()}")
    if not _CODE.fullmatch(text):
        raise refusal("this is not a modality", "write a code such as CT, MR, PT or MG")
    return text


def _code_and_scheme(text: str) -> str:
    if not _CODED.fullmatch(text):
        raise refusal(
            "this is not a code with its coding scheme",
            "write the code value, ^ and the coding scheme designator, for example ACC^99SITE",
        )
    return text


def _dicom_text(text: str) -> str:
    # PS3.5 section 6.2: a backslash parts values of SH and LO; control characters are excluded.
    if "\\" in text or not text.isprintable():
        raise refusal(
            "this text goes into DICOM objects, which allow no backslash and no line break in it",
            "write it with letters, digits, spaces and - only",
        )
    return text


def _person(text: str) -> str:
    words = [word for word in re.split(r"[\s.,]+", text) if len(word) > 1 and word.isalpha()]
    titles = {"dr", "prof", "mr", "mrs", "ms", "med", "tbd", "todo", "the"}
    if len([word for word in words if word.lower() not in titles]) < 2:
        raise refusal(
            "this does not name a person",
            "write first and last name of who answers for clinical use: Dr. Ada Lovelace",
        )
    return text


def _time_zone(text: str) -> str:
    known = zoneinfo.available_timezones()
    if text in known:
        return text
    meant = close_to(text, known)
    raise refusal(
        "there is no such time zone",
        f"did you mean '{meant}'?" if meant else "write one as Europe/Berlin or America/New_York",
    )


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    return Path(os.path.normpath(folder / path.expanduser()))


def _folder(path: Path, info: ValidationInfo) -> Path:
    if "\\" in str(path):
        raise refusal(
            "a path of this computer is written with /, not with \\",
            "name a folder such as ./var or /var/lib/vigie",
        )
    return usable_folder(_beside(path, info))


def _file(path: Path, info: ValidationInfo) -> Path:
    absolute = _beside(path, info)
    if absolute.is_dir():
        raise refusal(f"{absolute} is a folder", f"name a file, for example {absolute}/vigie.log")
    if not absolute.parent.is_dir():
        raise refusal(
            f"the folder {absolute.parent} does not exist",
            f"create it (mkdir -p {absolute.parent}), or correct the path",
        )
    return absolute


def _readable_file(path: Path, info: ValidationInfo) -> Path:
    absolute = _beside(path, info)
    if not absolute.is_file():
        raise refusal(f"the file {absolute} does not exist", "create it, or correct the path")
    if not os.access(absolute, os.R_OK):
        raise refusal(
            f"this account may not read {absolute}",
            "run this as the account of Vigie, or let it read the file (chmod, chown)",
        )
    return absolute


def _secret(value: object, info: ValidationInfo) -> SecretFile:
    return read_reference(value, (info.context or {}).get("folder", Path()))


AETitle = Annotated[
    str,
    AfterValidator(_ae_title),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": AE_TITLE_LENGTH}),
]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
EntryName = Annotated[
    str, AfterValidator(_entry_name), WithJsonSchema({"type": "string", "maxLength": 40})
]
Uid = Annotated[str, AfterValidator(_uid)]
#: "code value^coding scheme designator" (PS3.3 8.1, 8.2).
CodeAndScheme = Annotated[str, AfterValidator(_code_and_scheme)]
ModalityCode = Annotated[str, AfterValidator(_code)]
#: For an attribute of VR SH or LO.
DicomText = Annotated[str, AfterValidator(_dicom_text)]
#: A name of the IANA time zone database.
TimeZone = Annotated[str, AfterValidator(_time_zone)]
PersonName = Annotated[str, AfterValidator(_person)]
#: Absolute path of a folder that exists or whose parent does; relative to the file's folder.
FolderPath = Annotated[Path, AfterValidator(_folder)]
#: Absolute path of a file to be written; relative to the file's folder.
FilePath = Annotated[Path, AfterValidator(_file)]
#: Absolute path of a file that is there to be read; relative to the file's folder.
ReadableFile = Annotated[Path, AfterValidator(_readable_file)]
Secret = Annotated[
    SecretFile,
    PlainValidator(_secret),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^file:"}),
]
