"""Tables that ship with matching: `countries.csv`, `policy_sets.csv`, `pools.csv`. An operator may
name others.

`countries.csv`: country (ISO 3166-1 alpha-2), name, pool, policy_set (standard, guarded, strict),
age_of_majority (18 to 21), languages (BCP 47 primary tags, with spaces between).
`policy_sets.csv`: policy_set, accept_within_s (0: people are not asked), starvation_bound_s,
overflow (yes, no), skip_within_s (leaving sooner is a fault; 0: never), cool_down (times the usual
pause), minors (yes: they may look for somebody).
`pools.csv`: pool, neighbours (pools, nearest first, with spaces between).
"""

from __future__ import annotations

from pathlib import Path

COUNTRIES = Path(__file__).with_name("countries.csv")
POLICY_SETS = Path(__file__).with_name("policy_sets.csv")
POOLS = Path(__file__).with_name("pools.csv")
