"""No prompt is lost, none trained twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halyard.errors import HalyardError
from halyard.runs.ledger import Ledger


def settled() -> Ledger:
    ledger = Ledger()
    for occurrence, prompt in enumerate(("a", "b", "c", "a", "d")):
        ledger.in_flight(occurrence, prompt)
    for occurrence in (0, 1, 3):
        ledger.scored(occurrence)
    ledger.trained(0, 1)
    ledger.dropped(1, "no signal")
    ledger.failed(2, "too long")
    return ledger


def test_coverage_counts_occurrences_and_prompts() -> None:
    coverage = settled().coverage()
    assert coverage.states == {"trained": 1, "dropped": 1, "failed": 1, "scored": 1, "in_flight": 1}
    assert coverage.reasons == {"no signal": 1, "too long": 1}
    assert (coverage.prompts_seen, coverage.prompts_trained) == (4, 1)


def test_it_comes_back_from_json_as_it_was() -> None:
    ledger = settled()
    again = Ledger.from_json(json.loads(json.dumps(ledger.to_json())))
    assert again.to_json() == ledger.to_json()
    again.trained(3, 2)
    assert again.to_json()["3"] == ["a", "trained", 2, ""]


def test_training_twice_is_refused_by_name() -> None:
    ledger = settled()
    with pytest.raises(HalyardError, match=r"prompt a .*is trained and would become trained"):
        ledger.trained(0, 2)
    with pytest.raises(HalyardError, match=r"prompt a .*is trained and would become in_flight"):
        ledger.in_flight(0, "a")


def test_in_flight_again_after_a_resume() -> None:
    ledger = settled()
    ledger.in_flight(4, "d")
    assert ledger.to_json()["4"][1] == "in_flight"


def test_what_was_never_drawn_cannot_be_trained() -> None:
    with pytest.raises(HalyardError, match="is waiting and would become trained"):
        Ledger().trained(7, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["in_flight", "scored", "trained", "dropped", "failed"]))))
def test_however_it_is_used_nothing_is_trained_twice(moves: list[tuple[int, str]]) -> None:
    ledger, trained = Ledger(), []
    for occurrence, move in moves:
        more = {"in_flight": ("p",), "scored": (), "trained": (1,), "dropped": ("why",), "failed": ("why",)}[move]
        try:
            getattr(ledger, move)(occurrence, *more)
        except HalyardError:
            continue
        if move == "trained":
            trained.append(occurrence)
    assert len(trained) == len(set(trained)) == ledger.coverage().states.get("trained", 0)
