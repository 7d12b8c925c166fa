"""The "no language" class: laughter, sounds, numbers, links, emoji and names pass as they are."""

# ruff: noqa: RUF001 RUF003 - letters of other scripts are what this module is about

from __future__ import annotations

import re

from inyeon.translation.domain.protection import Protected

# How people laugh or sigh in writing: haha, jaja, kkkk, rsrs, ㅋㅋ, www, 哈哈, хаха, ههه, 555.
_LAUGHTER = re.compile(
    r"(?:a?h?(?:[hj][aeio]){2,}[hj]?|(?:[hj][aeio]){2,}[aeiohj]*|k{3,}|(?:rs){2,}r?|[ㅋㅎ]+|w{2,}|[哈呵嘻]{2,}|"
    r"(?:[хХ][аеи]){2,}х?|(?:а?ха)+х?|ه{2,}|(?:د?ها?){3,}|笑+|草|lo+l+|lmf?ao+|xd+|mdr+|ptdr+|wkwk(?:wk)*w?)",
    re.IGNORECASE,
)
# Sounds and words that are the same everywhere; the facts list them as what every identifier gets
# wrong.
_EVERYWHERE = re.compile(
    r"(?:ok(?:ay|ey|i+)?|a+h+|o+h+|u+h+|e+h+|m{2,}|h+m+|wo+w+|ye+y+|brr+|zzz+|asd\w*f\w*|\W+|[\d_]+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


def has_no_language(protected: Protected) -> bool:
    """Nothing is left to translate once tokens, laughter and sounds are taken away."""
    rest = protected.pattern.sub(" ", protected.text)
    return all(
        _LAUGHTER.fullmatch(word) or _EVERYWHERE.fullmatch(word) for word in _WORD.findall(rest)
    )
