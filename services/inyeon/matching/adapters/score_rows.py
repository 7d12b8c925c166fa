"""Words about scores as JSON. What a newer version wrote and this one does not know is named, and
the word then changes nothing here."""

from __future__ import annotations

import json
from typing import Any

from inyeon.matching.adapters.score_models import model_from, model_to
from inyeon.matching.domain.guarding import Guardrail
from inyeon.matching.domain.refusals import Refused
from inyeon.matching.domain.score_words import Experiment, Verb, Word
from inyeon.matching.domain.switchback import Plan

MICROSECONDS = 1_000_000


def what_of(word: Word) -> str:
    """What the word names."""
    what: dict[str, Any] = {}
    if word.model is not None:
        what["model"] = model_to(word.model)
    if word.experiment is not None:
        what["experiment"] = experiment_to(word.experiment)
    return json.dumps(what, sort_keys=True)


def word_of(
    number: int, pool: str, verb: str, said_by: str, said_us: int, what: str, note: str
) -> Word:
    """Of a row."""
    at_s = said_us / MICROSECONDS
    try:
        named = json.loads(what)
        said = Verb(verb)
        model = model_from(named["model"], "model") if said is Verb.ACTIVATE else None
        experiment = experiment_from(named["experiment"]) if said is Verb.START else None
        return Word(said, pool, said_by, at_s, model, experiment, note, number)
    except (Refused, ValueError, KeyError, TypeError) as error:
        return Word(
            Verb.STOP, pool, said_by, at_s, note=note, number=number, unreadable=repr(error)[:200]
        )


def experiment_to(experiment: Experiment) -> dict[str, Any]:
    """As JSON."""
    plan = experiment.plan
    return {
        "name": plan.name,
        "start_s": plan.start_s,
        "window_s": plan.window_s,
        "burn_in_s": plan.burn_in_s,
        "blocks": experiment.blocks,
        "models": [model_to(model) for model in experiment.models],
        "guardrails": [[r.metric, r.tolerance, r.floor] for r in experiment.guardrails],
    }


def experiment_from(found: dict[str, Any]) -> Experiment:
    """Raises Refused, KeyError, TypeError, ValueError."""
    models = tuple(model_from(one, "models") for one in found["models"])
    arms = tuple(model.version for model in models)
    times = (float(found[name]) for name in ("start_s", "window_s", "burn_in_s"))
    rails = tuple(Guardrail(str(m), float(t), float(f)) for m, t, f in found["guardrails"])
    return Experiment(Plan(str(found["name"]), arms, *times), models, int(found["blocks"]), rails)
