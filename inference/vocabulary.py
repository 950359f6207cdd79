"""What words in descriptions mean: body regions, contrast, phases, views, phantoms.

English, German, French, Italian, Spanish, Portuguese, Dutch and Polish, as radiographers write
them, and what was met in others. A word ending in * stands for all words that begin so. What is
ambiguous stands in no list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from node.domain.facts import LATERALITIES, REGIONS, VIEWS
from node.domain.letters import plain_letters

#: Longer texts are no descriptions (LO has 64 characters, PS3.5 table 6.2-1).
MOST_LETTERS = 256

_REGION_WORDS = {
    "head": "head kopf tete cabeza testa capo cabeca hoofd brain hirn gehirn cereb* cerveau "
    "cran* schadel* skull crane schaedel* neuro* ccct orbit* sinus* nnh sella iac petrous "
    "felsenbein mastoid* facial face gesicht maxill* mandib* headneck nasopharynx glow* mozg* "
    "zatok* twarzoczaszk*",
    "neck": "neck hals cou cuello collo pescoco thyro* schilddruse larynx carot* headneck "
    "neckchest* hnc szyj* szyi",
    "chest": "chest chst ctpa thora* torax torace tor thx lung lunge lungen lungs poumon* pulm* "
    "polm* longen brustkorb klatk* piersiow* pluc* klp mediast* chestabd* neckchest* tap cap "
    "tkap cta-pe lae embolie* "
    "oesoph* esoph* rib "
    "ribs rippen bronch* chestabdpel* chabd* ldct lung-screening",
    "heart": "heart herz coeur cuore corazon coracao hart cardia* "
    "coronary coronaries coronarie* coronaire* koronarangio* kardia* calcium-score "
    "cacs tavi serc*",
    "breast": "breast* mamm* sutk* piers piersi sein seno mama borst brust",
    "abdomen": "abdom* brzuch* brzusz* addome abd bauch buik liver leber foie fegato higado "
    "figado lever hepat* "
    "watrob* nerk* nerek trzustk* sledzion* jb "
    "kidney* niere* rein reins rene renal* urogram* pancrea* pankreas spleen milz stomach magen "
    "colon kolon bowel darm adrenal nebenniere* chestabd* chabd* abdpel* abdpl* abdopel* "
    "abdomenpel* tap cap tkap triphasic gallblad* galle* urogr* uro neckchestabd* ventre",
    "pelvis": "pelvi* pel mied miednic* becken bassin bacino pelvico bekken abdpl* abdpel* "
    "abdopel* abdomenpel* prosta* "
    "bladder blase vessie vescica vejiga uter* ovar* rectum rekt* rectal cervix chestabdpel* tap "
    "cap hip hips biodr* hufte* huft hanche* anca cadera chabdpel* bonypelvis neckchestabdpel* "
    "sacr* isg",
    "spine": "spine *spine wirbel* columna colonna rachis coluna wervel* lws bws hws lumb* lomb* "
    "lenden* kregosl* kregow* ledzwi* cspine tspine lspine tlspine cervical zervikal* lsp "
    "tsp csp vertebr* myelo*",
    "upper_limb": "shoulder schulter epaule spalla hombro ombro arm elbow ellbogen coude gomito "
    "codo hand main mano wrist handgelenk poignet polso muneca humer* radius ulna finger* forearm "
    "unterarm oberarm bark* lokc* lokiec nadgarst*",
    "lower_limb": "leg legs bein jambe gamba pierna perna been knee knie genou ginocchio rodilla "
    "joelho foot fuss pied piede pie voet ankle sprunggelenk cheville caviglia tobillo femur tibia "
    "thigh calf unterschenkel oberschenkel runoff beckenbein* lowerlimb kolan* udo "
    "podudzi* stopy stopa",
    "whole_body": "wholebody ganzkorper* ganzkoerper* gk wb polytrauma polytraum* corps-entier",
}
#: Words of two or three parts, as they stand after the separators are gone.
_PHRASES = {
    "whole body": "whole_body",
    "total body": "whole_body",
    "corps entier": "whole_body",
    "cuerpo entero": "whole_body",
    "lower extremit": "lower_limb",
    "upper extremit": "upper_limb",
    " kl p ": "chest",
    # Short for a region only beside another one.
    " ch ab": "chest abdomen",
    " ch pel": "chest pelvis",
    " ab pel": "abdomen pelvis",
    " c a p ": "chest abdomen pelvis",
    " t a p ": "chest abdomen pelvis",
}
#: What several words say together, taken out before the words are read one by one.
_SPANS = (
    # The usual field of a PET, also where 64 letters were not enough to write it out.
    (
        r"(skull|head|vertex|orbits?|eyes?) ?(base|vertex)? ?(to |thru |through )?(the )?"
        r"(mid ?|upper |proximal )?thighs?",
        "whole_body",
    ),
    (r"(?<=pet )(.* )?skull ?(base)?( to( m\w*)?)?(?= *$)", "whole_body"),
    (r"(?<=pt ct )(.* )?skull ?(base)?( to( m\w*)?)?(?= *$)", "whole_body"),
    (r"torso|rumpf|tulow\w*", "chest abdomen pelvis"),
    # The thoracic spine is no chest, the cervical one no neck.
    (
        r"(thora\w*|tora\w*|dorsal\w*|brust|hals|neck) ?(spine|col[uo]\w*|wirbel\w*|wervel\w*)",
        "spine",
    ),
    (
        r"(spine|rachis|col[uo]n+a|wirbel\w*|kregosl\w*) "
        r"(thora\w*|tora\w*|dorsal\w*|piersiow\w*|szyj\w*)",
        "spine",
    ),
    # How the patient lies.
    (r"(head|feet|kopf|fuss\w*) ?(first|1st|voran)|first ?(head|feet)|head in(?= *$| [0-9])", ""),
)
#: Longer words that begin with "CT" or "MR" are run together with the modality.
_RUN_TOGETHER = 5
#: What `whole_body` surely holds.
_WHOLE_BODY = ("chest", "abdomen", "pelvis")

#: "CHEST_TO_PELVIS" goes through the abdomen.
_BETWEEN = (({"chest", "pelvis"}, "abdomen"), ({"head", "chest"}, "neck"))

_WITHOUT = re.compile(
    r"\b(w ?/? ?o|without|ohne|sans|senza|sin|sem|zonder|bez|utan|uten|uden|"
    r"non?[ /-]*(con|contrast|enhanced|ce|inj|infus|kontr)\w*|unenhanced|nativ\w*|natyw\w*|natif|"
    r"basale|blanco|plain|nect|ncct|nc|pre ?-?(contrast|gad\w*|gd|km)|no (iv )?contrast|"
    r"(przed|vor|avant|antes|before|prima) ?(del? )?(kontr\w*|contr\w*|km|inj\w*|podan\w*|mdc)|"
    r"[ck]ontrast\w* ?(/ ?bolus)? ?(agent)? ?-? ?none|kontrast(los|frei|siz)\w*)\b|"
    r"(?<![\w/])([ci]-(?![\w+])|s ?/ ?c\b)|(?<!\S)-c\b",
)
_WITH = re.compile(
    r"\b(contrast\w*|kontras[tc]\w*|wzmocn\w*|km|mdc|mdk|cect|wc|post ?-?(contrast|gd|gad\w*)|"
    r"w ?/ ?(iv|c|con|contrast)|gad\w*|enhanced|inj|injecte|arteri\w*|tetnic\w*|porta?al\w*|"
    r"portov\w*|wrotn\w*|ven[oe]s\w*|veineu\w*|veneu[sz]\w*|zyln\w*|venous|ven|cta|ctpa|angio\w*|"
    r"p ?v|pvp|"
    r"ce|nephrogra\w*|urograph\w*|excret\w*)\b|"
    r"\bwith(?= *$| [0-9])|(?<= )(?<!t1 )(?<!t2 )(?<!pd )w(?= *$)|"
    r"(?<!\w)[ci] ?\+|\+ ?c\b|(?<![\w/])c/c(?![\w/])",
)
#: "with and without" says nothing of this series; nor does the difference of before and after.
_BOTH = re.compile(
    r"\b(w ?/? ?o|without|ohne|bez) ?(and|und|et|i|&|\+|/) ?"
    r"(w|with|mit|z)\b|"
    r"\b(w|with|mit|z) ?(and|und|et|i|&|\+|/)? ?(w ?/? ?o|without|ohne|bez)\b|"
    r"\bpost ?-?(contrast|gad\w*|gd|km)?\b.*\bpre ?-?(contrast|gad\w*|gd|km)\b|"
    r"\bpre ?-?(contrast|gad\w*|gd|km)?\b.*\bpost ?-?(contrast|gad\w*|gd|km)\b"
)
_OTHER_EVENT = (
    r"(?! ?(op|proc|bx|biop|needle|tx|ther|treat|void|dura|surg|abl|rt|rad|chem|imri|mort|lig|fess|"
    r"neo|scan|shim|proz))"
)
_PRE, _POST = (re.compile(rf"\b{word}\b{_OTHER_EVENT}") for word in ("pre", "post"))
_PHASES = (
    (
        "native",
        re.compile(
            r"\b(nativ\w*|natyw\w*|natif|basale|blanco|unenhanced|nect|ncct|non[ /-]*con\w*)\b"
        ),
    ),
    (
        "arterial",
        re.compile(
            r"\b(art|arteri\w*|arter|tetnic\w*|cta|ctpa|aortic phase|corticomed\w*|"
            r"early(?! ?-?(ven|del|port|exc)))\b"
        ),
    ),
    (
        "venous",
        re.compile(
            r"\b(ven|ven[oe]\w*|veineu\w*|zyln\w*|porta?al\w*|portov\w*|wrotn\w*|p ?v|pvp|"
            r"nephrogr\w*|parenchym\w*|miazsz\w*)\b"
        ),
    ),
    (
        "delayed",
        re.compile(
            r"(?<!no )\b(delay\w*|late(?! ?-?(art|ven|port|p ?v))|spat\w*|spaet\w*|tardi\w*|"
            r"pozn\w*|opozn\w*|verzog\w*|excret\w*|urograph\w*|equilib\w*|hepatobil\w*)\b"
        ),
    ),
)
_BOWEL = (
    "oral orally peroral os po rectal rectum enema enteral water wasser eau acqua agua woda gastro "
    "gastrografin gastrolux gastroview barium baryum bario mannitol doustnie"
)
_BESIDE_BOWEL = (
    "per via and und et only nur contrast kontrast kontrastmittel km agent ml positive negative "
    "route administration"
)
_ENTERAL = frozenset(_BOWEL.split())
_BESIDE_ENTERAL = frozenset(_BESIDE_BOWEL.split())
_ABDOMEN_PELVIS = re.compile(r"(?<![\w/])a ?/? ?p(?![\w/])")
_CHEST_ABDOMEN = re.compile(r"(?<![\w/])c ?/ ?a(?![\w/])")
_PHANTOM = re.compile(
    r"\b(phantom\w*|fantom\w*|fantoma|catphan\w*|acr qc|qa|qc|qualitatskontrolle|konstanz\w*|"
    r"constancy|daily check|water cal\w*)\b"
)
_VIEW = re.compile(rf"(?<![a-z])([rl])? ?-?({'|'.join(VIEWS).lower()})(?![a-z])")
_SIDES = {
    "l": "left", "left": "left", "links": "left", "gauche": "left", "sinistra": "left",
    "izquierda": "left", "li": "left", "lt": "left",
    "r": "right", "right": "right", "rechts": "right", "droite": "right", "destra": "right",
    "derecha": "right", "re": "right", "rt": "right",
    "b": "both", "bilateral": "both", "u": "unpaired",
}  # fmt: skip

_COMPILED_SPANS = tuple((re.compile(rf"\b(?:{span})\b"), regions) for span, regions in _SPANS)
_EXACT: dict[str, set[str]] = {}
_BEGINS: list[tuple[str, str]] = []
_ENDS: list[tuple[str, str]] = []
for _region, _words in _REGION_WORDS.items():
    for _word in _words.split():
        if _word.startswith("*"):
            _ENDS.append((_word[1:], _region))
        elif _word.endswith("*"):
            _BEGINS.append((_word[:-1], _region))
        else:
            _EXACT.setdefault(_word, set()).add(_region)


@lru_cache(maxsize=16384)
def folded(text: str) -> str:
    """Lower case, without accents, separators as single spaces; + - / & stay."""
    # "MiednicaPOZNE", "SmartPrep": a capital within a word begins another one.
    parted = re.sub(r"(?<=[^\W\d_A-Z]{3})(?=[A-Z])", " ", text[:MOST_LETTERS])
    return " ".join(re.sub(r"[_^,;:.()\[\]\\|<>{}='\"!*?#]+", " ", plain_letters(parted)).split())


def regions_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The body regions that the texts name, from head to foot."""
    found: set[str] = set()
    for text in texts:
        found |= _named_in(text)
    if "whole_body" in found:
        found.update(_WHOLE_BODY)
    for ends, between in _BETWEEN:
        if found >= ends:
            found.add(between)
    return tuple(region for region in REGIONS if region in found)


@lru_cache(maxsize=16384)
def _named_in(text: str) -> frozenset[str]:
    spaced = f" {' '.join(re.sub(r'[-+/&]', ' ', folded(text)).split())} "
    found: set[str] = set()
    for span, regions in _COMPILED_SPANS:
        spaced, times = span.subn(" ", spaced)
        found.update(regions.split() if times else ())
    found |= {
        region
        for phrase, regions in _PHRASES.items()
        if phrase in spaced
        for region in regions.split()
    }
    for word in spaced.split():
        found |= _regions_of(word)
    return frozenset(found)


def _regions_of(word: str) -> set[str]:
    word = word.rstrip("0123456789")
    # "CTABDPELWO", "MRBRAIN"
    if len(word) > _RUN_TOGETHER and word.startswith(("ct", "mr")):
        return _regions_of(word[2:])
    found = set(_EXACT.get(word, ()))
    found.update(region for start, region in _BEGINS if word.startswith(start))
    found.update(region for end, region in _ENDS if word.endswith(end))
    return found


def before_or_after(text: str) -> bool | None:
    """ "T1 POST" is after contrast, "T1 PRE" before; on MR only, and not of an operation."""
    line = folded(text).replace("-", " ")
    before, after = (bool(pattern.search(line)) for pattern in (_PRE, _POST))
    return None if before == after else after


@lru_cache(maxsize=16384)
def contrast_in(text: str) -> bool | None:
    """Do the words say that contrast was given; None where they do not, or say both."""
    line = folded(text)
    if _BOTH.search(line):
        return None
    without = _WITHOUT.search(line)
    if without:
        rest = line[: without.start()] + " " + line[without.end() :]
        # "ohne KM" names the agent that was not given; a phase beside it contradicts.
        return None if _phase(rest) not in (None, "native") else False
    return True if _WITH.search(line) else None


def is_enteral(text: str) -> bool:
    """Do the agent or its route speak of the bowel alone: "ORAL", "per os", "Wasser"?"""
    words = set(re.findall(r"[a-z]+", folded(text)))
    return bool(words & _ENTERAL) and words <= _ENTERAL | _BESIDE_ENTERAL


def phase_in(text: str) -> str | None:
    """The contrast phase that the words name; None where they name none or several."""
    return _phase(folded(text))


@lru_cache(maxsize=16384)
def _phase(line: str) -> str | None:
    found = [phase for phase, words in _PHASES if words.search(line)]
    return found[0] if len(found) == 1 else None


def sections_in(text: str) -> tuple[str, ...]:
    """What "A/P" and "C/A" stand for on a CT; on a scout or a radiograph A/P is a projection."""
    return (
        ("chest", "abdomen")
        if _CHEST_ABDOMEN.search(folded(text))
        else (("abdomen", "pelvis") if _ABDOMEN_PELVIS.search(folded(text)) else ())
    )


def is_phantom(texts: Iterable[str]) -> bool:
    """Do the words speak of a phantom or of quality control?"""
    return any(map(_speaks_of_phantom, texts))


@lru_cache(maxsize=16384)
def _speaks_of_phantom(text: str) -> bool:
    return bool(_PHANTOM.search(folded(text).replace("-", " ")))


def view_in(text: str) -> tuple[str | None, str | None]:
    """View and side of a mammogram: "R MLO" -> ("MLO", "right")."""
    found = _VIEW.search(folded(text))
    if not found:
        return None, None
    return found[2].upper(), _SIDES[found[1]] if found[1] else None


def side_of(text: str) -> str | None:
    """`LATERALITIES` from a code (L, R, B, U) or from a word."""
    sides = {_SIDES[word] for word in folded(text).split() if word in _SIDES}
    found = sides.pop() if len(sides) == 1 else None
    assert found is None or found in LATERALITIES
    return found
