"""Tables that ship with matching: `countries.csv` and `pools.csv`. An operator may name others.

`countries.csv`: country (ISO 3166-1 alpha-2), name, pool, policy_set (standard, guarded, strict),
age_of_majority (18 to 21), languages (BCP 47 primary tags, with spaces between).
`pools.csv`: pool, neighbours (pools, nearest first, with spaces between).
"""

from __future__ import annotations

from pathlib import Path

COUNTRIES = Path(__file__).with_name("countries.csv")
POOLS = Path(__file__).with_name("pools.csv")
