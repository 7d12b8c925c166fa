"""Brings chat spellings of one phrase together, for the phrasebook only; the original is kept."""

# ruff: noqa: RUF001 - letters of other scripts are what this module is about

from __future__ import annotations

import re
import unicodedata

_SLANG: dict[str, dict[str, str]] = {
    "en": {
        "u": "you", "r": "are", "ur": "your", "im": "i am", "ill": "i will", "ive": "i have",
        "youre": "you are", "whats": "what is", "wheres": "where is", "hows": "how is",
        "thats": "that is", "its": "it is", "dont": "do not", "cant": "cannot", "wanna": "want to",
        "gotta": "have to", "gonna": "going to", "thx": "thanks", "ty": "thank you",
        "pls": "please", "plz": "please", "idk": "i do not know", "brb": "be right back",
        "gtg": "i have to go", "g2g": "i have to go", "cya": "see you", "didnt": "did not",
        "isnt": "is not", "doesnt": "does not", "yeah": "yes", "yep": "yes", "nope": "no",
    },
    "es": {
        "q": "que", "k": "que", "xq": "porque", "pq": "porque", "porfa": "por favor",
        "xfa": "por favor", "tb": "tambien", "tmb": "tambien", "d": "de", "stas": "estas",
        "toy": "estoy", "bn": "bien", "grax": "gracias",
    },
    "pt": {
        "vc": "voce", "vcs": "voces", "blz": "beleza", "tb": "tambem", "tbm": "tambem",
        "q": "que", "pq": "porque", "obg": "obrigado", "ta": "esta", "to": "estou",
    },
    "fr": {
        "slt": "salut", "cc": "coucou", "stp": "s il te plait", "svp": "s il vous plait",
        "cv": "ca va", "tkt": "ne t inquiete pas", "jsp": "je ne sais pas", "dsl": "desole",
        "mrc": "merci", "bsr": "bonsoir", "bjr": "bonjour", "pk": "pourquoi",
    },
    "de": {"hdl": "hab dich lieb", "vllt": "vielleicht", "kp": "keine ahnung", "nix": "nichts"},
    "it": {"nn": "non", "cmq": "comunque", "xke": "perche", "grz": "grazie"},
}  # fmt: skip

_APOSTROPHES = re.compile(r"[’'`´ʼ]")
_PUNCTUATION = re.compile(r"[^\w\s{}]|_")
_STRETCHED = re.compile(r"([^\W\d])\1{2,}")


def normalise(text: str, language: str) -> str:
    """Small letters, no punctuation, no Latin accents, slang written out, blanks single.

    Apostrophes vanish in English ("I'm" is "im") and part words elsewhere ("j'ai" is "j ai").
    """
    plain = _without_accents(unicodedata.normalize("NFKC", text).casefold())
    plain = _APOSTROPHES.sub("" if language == "en" else " ", plain)
    slang = _SLANG.get(language, {})
    return " ".join(slang.get(word, word) for word in _PUNCTUATION.sub(" ", plain).split())


def variants(text: str, language: str) -> tuple[str, ...]:
    """The text normalised; then with stretched letters ("hellooo", "goood") cut to two, to one."""
    forms = (text, _STRETCHED.sub(r"\1\1", text), _STRETCHED.sub(r"\1", text))
    return tuple(dict.fromkeys(normalise(form, language) for form in forms))


def _without_accents(text: str) -> str:
    """Drops marks over Latin letters only: a dakuten or a vowel sign makes another letter."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        if not (unicodedata.combining(character) and kept and kept[-1].isascii()):
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))
