"""Names that networks give to structures, and their SNOMED CT codes.

The names are those that public segmentation models use (MONAI zoo, TotalSegmentator: English,
underscores, a side at either end). Codes are those of PS3.16 context groups (CID 7151 and its
kin, as pydicom's dictionary has them); a few of ribs and muscles stand in
`REVIEWED`. What is not in the table gets a private code, made from its name.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Code = tuple[str, str, str]

LEFT: Code = ("7771000", "SCT", "Left")
RIGHT: Code = ("24028007", "SCT", "Right")
STRUCTURE: Code = ("123037004", "SCT", "Anatomical structure")
ABNORMAL: Code = ("49755003", "SCT", "Morphologically Abnormal Structure")
PRIVATE = "99VIGIE"

_ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
_RIBS = (
    "48535007",
    "78247007",
    "25888004",
    "25523003",
    "15339008",
    "59558009",
    "24915002",
    "5953002",
    "22565002",
    "77644006",
    "58830002",
    "43993008",
)
_VERTEBRAE: Mapping[str, tuple[str, ...]] = {
    "C": ("14806007", "39976000", "113205007", "5329002", "36978003", "36054005", "87391001"),
    "T": (
        "64864005",
        "53733008",
        "1626008",
        "73071006",
        "56401006",
        "45296009",
        "62487009",
        "11068009",
        "82687006",
        "7610001",
        "12989004",
        "23215003",
    ),
    "L": ("66794005", "14293000", "36470004", "11994002", "49668003"),
}
#: By name without its side: (code value, meaning).
_TERMS: Mapping[str, tuple[str, str]] = {
    "adrenal gland": ("23451007", "Adrenal gland"),
    "airway": ("89187006", "Airway structure"),
    "aorta": ("15825003", "Aorta"),
    "artery": ("51114001", "Artery"),
    "autochthon": ("244849004", "Autochthonous back muscle"),
    "bile duct": ("28273000", "Bile duct"),
    "bladder": ("89837001", "Bladder"),
    "bone": ("272673000", "Bone"),
    "brachiocephalic trunk": ("12691009", "Brachiocephalic trunk"),
    "brachiocephalic vein": ("8887007", "Brachiocephalic vein"),
    "brain": ("12738006", "Brain"),
    "brainstem": ("119238007", "Brain stem"),
    "breast": ("76752008", "Breast"),
    "cerebellum": ("113305005", "Cerebellum"),
    "clavicle": ("51299004", "Clavicle"),
    "colon": ("71854001", "Colon"),
    "common carotid artery": ("32062004", "Common carotid artery"),
    "costal cartilages": ("50016007", "Costal cartilage"),
    "duodenum": ("38848004", "Duodenum"),
    "esophagus": ("32849002", "Esophagus"),
    "eye": ("81745001", "Eye"),
    "face": ("89545001", "Face"),
    "femur": ("71341001", "Femur"),
    "gallbladder": ("28231008", "Gallbladder"),
    "gluteus maximus": ("181674001", "Gluteus maximus muscle"),
    "gluteus medius": ("78333006", "Gluteus medius muscle"),
    "gluteus minimus": ("75297007", "Gluteus minimus muscle"),
    "heart": ("80891009", "Heart"),
    "heart myocardium": ("74281007", "Myocardium"),
    "hip": ("29836001", "Hip"),
    "hippocampus": ("5366008", "Hippocampus"),
    "humerus": ("85050009", "Humerus"),
    "iliac artery": ("73634005", "Common iliac artery"),
    "iliac vena": ("46027005", "Common iliac vein"),
    "iliopsoas": ("68455001", "Iliopsoas muscle"),
    "inferior vena cava": ("64131007", "Inferior vena cava"),
    "kidney": ("64033007", "Kidney"),
    "liver": ("10200004", "Liver"),
    "lung": ("39607008", "Lung"),
    "lung lower lobe": ("90572001", "Lower lobe of lung"),
    "lung middle lobe": ("72481006", "Middle lobe of right lung"),
    "lung upper lobe": ("45653009", "Upper lobe of lung"),
    "lymph node": ("59441001", "Lymph node"),
    "mandible": ("91609006", "Mandible"),
    "myocardium": ("74281007", "Myocardium"),
    "pancreas": ("15776009", "Pancreas"),
    "parotid gland": ("45289007", "Parotid gland"),
    "peripheral zone": ("279706003", "Peripheral zone of the prostate"),
    "portal vein": ("32764006", "Portal vein"),
    "prostate": ("41216001", "Prostate"),
    "pulmonary artery": ("81040000", "Pulmonary artery"),
    "pulmonary vein": ("122972007", "Pulmonary vein"),
    "rectum": ("34402009", "Rectum"),
    "sacrum": ("54735007", "Sacrum"),
    "scapula": ("79601000", "Scapula"),
    "skeletal muscle": ("127954009", "Skeletal muscle"),
    "skin": ("39937001", "Skin"),
    "skull": ("89546000", "Skull"),
    "small bowel": ("30315005", "Small intestine"),
    "spinal canal": ("61853006", "Spinal canal"),
    "spinal cord": ("2748008", "Spinal cord"),
    "spleen": ("78961009", "Spleen"),
    "splenic vein": ("35819009", "Splenic vein"),
    "sternum": ("56873002", "Sternum"),
    "stomach": ("69695003", "Stomach"),
    "subclavian artery": ("36765005", "Subclavian artery"),
    "superior vena cava": ("48345005", "Superior vena cava"),
    "thalamus": ("42695009", "Thalamus"),
    "thyroid gland": ("69748006", "Thyroid"),
    "trachea": ("44567001", "Trachea"),
    "transition zone": ("399384005", "Transition zone of prostate"),
    "urinary bladder": ("89837001", "Bladder"),
    "uterus": ("35039007", "Uterus"),
}
#: Chambers have a side of their own, so the side stays in the name.
_SIDED: Mapping[str, tuple[str, str]] = {
    "atrial appendage left": ("33626005", "Left auricular appendage"),
    "heart atrium left": ("82471001", "Left atrium"),
    "heart atrium right": ("73829009", "Right atrium"),
    "heart ventricle left": ("87878005", "Left ventricle"),
    "heart ventricle right": ("53085002", "Right ventricle"),
    "left atrium": ("82471001", "Left atrium"),
    "left ventricle": ("87878005", "Left ventricle"),
    "right atrium": ("73829009", "Right atrium"),
    "right ventricle": ("53085002", "Right ventricle"),
    "right ventricular cavity": ("53085002", "Right ventricle"),
    "left ventricular cavity": ("87878005", "Left ventricle"),
}
#: Words of lesions: (code value, meaning).
_LESIONS: Mapping[str, tuple[str, str]] = {
    "cyst": ("367643001", "Cyst"),
    "edema": ("79654002", "Edema"),
    "lesion": ("52988006", "Lesion"),
    "mass": ("4147007", "Mass"),
    "metastases": ("14799000", "Metastasis"),
    "metastasis": ("14799000", "Metastasis"),
    "necrosis": ("6574001", "Necrosis"),
    "neoplasm": ("108369006", "Neoplasm"),
    "nodule": ("27925004", "Nodule"),
    "nodules": ("27925004", "Nodule"),
    "tumor": ("108369006", "Neoplasm"),
    "tumors": ("108369006", "Neoplasm"),
    "tumour": ("108369006", "Neoplasm"),
}
#: Adjectives of organs.
_ORGANS = {
    "hepatic": "liver",
    "pulmonary": "lung",
    "renal": "kidney",
    "pancreatic": "pancreas",
    "splenic": "spleen",
    "cerebral": "brain",
}
_OTHER_WORDS = {
    "oesophagus": "esophagus",
    "clavicula": "clavicle",
    "iliac vein": "iliac vena",
    "gall bladder": "gallbladder",
    "small intestine": "small bowel",
    "thyroid": "thyroid gland",
    "adrenal": "adrenal gland",
    "spinal chord": "spinal cord",
    "brain stem": "brainstem",
    "autochthonous back muscle": "autochthon",
    "vena cava inferior": "inferior vena cava",
    "vena cava superior": "superior vena cava",
}
#: Codes of SNOMED CT that pydicom's dictionary does not hold, looked up and reviewed.
REVIEWED = frozenset(
    {*_RIBS, "181674001", "78333006", "75297007", "68455001", "244849004", "74281007"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a name means.

    Attributes:
        site: of a lesion; None where the name does not say. private: the code is ours.
    """

    name: str
    code: Code
    laterality: Code | None = None
    lesion: bool = False
    site: Code | None = None
    private: bool = False


def structure_of(name: str) -> Structure:
    """The structure or lesion of a name such as "kidney_left" or "liver tumor"."""
    readable = _readable(name)
    plain = readable.lower()
    if plain in _SIDED:
        return Structure(name=readable, code=_sct(_SIDED[plain]))
    words, laterality = _side(plain.split())
    if (bone := _numbered(words)) is not None:
        return Structure(name=readable, code=bone, laterality=laterality)
    lesion = next((word for word in words if word in _LESIONS), None)
    if lesion is not None:
        rest = [_ORGANS.get(word, word) for word in words if word != lesion]
        site = _term(" ".join(rest))
        return Structure(
            name=readable,
            code=_sct(_LESIONS[lesion]),
            laterality=laterality,
            lesion=True,
            site=site,
        )
    code = _term(" ".join(words))
    if code is None:
        return Structure(name=readable, code=private_code(readable), private=True)
    return Structure(name=readable, code=code, laterality=laterality)


def private_code(name: str) -> Code:
    """A code of our own, the same for the same name everywhere."""
    value = "L" + hashlib.sha256(name.lower().encode()).hexdigest()[:12]
    return value, PRIVATE, name[:64]


def table() -> Iterator[Code]:
    """Every code of the table, for a test."""
    for terms in (_TERMS, _SIDED, _LESIONS):
        yield from map(_sct, terms.values())
    for letter, values in _VERTEBRAE.items():
        for number in range(len(values)):
            yield _bone(letter, number)
    for number, ordinal in enumerate(_ORDINALS):
        yield _RIBS[number], "SCT", f"{ordinal.capitalize()} rib"


def colour_of(number: int) -> tuple[int, int, int]:
    """sRGB of the structure of that number: neighbours differ, none is grey."""
    hue = (number * 0.618_033_988_75) % 1.0
    lightness = 0.45 + 0.15 * (number % 3)
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
    return round(red * 255), round(green * 255), round(blue * 255)


def _readable(name: str) -> str:
    text = " ".join(re.split(r"[\s_\-/]+", name.strip()))
    return (text[:1].upper() + text[1:])[:48] or "Unnamed"


def _side(words: list[str]) -> tuple[list[str], Code | None]:
    if "left" in words:
        return [word for word in words if word != "left"], LEFT
    if "right" in words:
        return [word for word in words if word != "right"], RIGHT
    return words, None


def _numbered(words: list[str]) -> Code | None:
    """Ribs and vertebrae."""
    if len(words) == 2 and words[0] in ("rib", "ribs") and words[1].isdecimal():
        number = int(words[1])
        if 1 <= number <= len(_RIBS):
            return _RIBS[number - 1], "SCT", f"{_ORDINALS[number - 1].capitalize()} rib"
    match = re.fullmatch(r"(?:vertebrae?) ([ctl])(\d{1,2})", " ".join(words))
    if match:
        letter, number = match[1].upper(), int(match[2])
        if 1 <= number <= len(_VERTEBRAE[letter]):
            return _bone(letter, number - 1)
    return None


def _bone(letter: str, number: int) -> Code:
    return _VERTEBRAE[letter][number], "SCT", f"{letter}{number + 1} vertebra"


def _term(text: str) -> Code | None:
    text = _OTHER_WORDS.get(text, text)
    return _sct(_TERMS[text]) if text in _TERMS else None


def _sct(entry: tuple[str, str]) -> Code:
    return entry[0], "SCT", entry[1]
