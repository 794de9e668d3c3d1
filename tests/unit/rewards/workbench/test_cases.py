"""Files of cases: what a line says, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from halyard.errors import ConfigError, DataError
from rewards.workbench.cases import read, single


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_an_answer_is_committed_as_its_task_wants_it(tmp_path: Path) -> None:
    answers = [
        {"answer": "1/2", "reference": "0.5"},
        {"answer": r"it is \boxed{1/2}", "reference": "0.5"},
        {"answer": "Paris", "reference": "Paris", "task": "exact"},
    ]
    assert [case.sample.response for case in read(written(tmp_path, *answers))] == [
        r"\boxed{1/2}",
        r"it is \boxed{1/2}",
        "Paris",
    ]


def test_a_response_is_split_and_its_mode_seen(tmp_path: Path) -> None:
    line = {"response": r"<think>2 + 3</think>\boxed{5}", "reference": 5, "expected": True, "kind": "sums", "id": "a"}
    (case,) = read(written(tmp_path, "", line, " "))
    assert (case.name, case.kind, case.expected) == ("a", "sums", True)
    assert (case.sample.thinking, case.sample.reasoning, case.sample.answer) == (True, "2 + 3", r"\boxed{5}")
    assert case.sample.reference == "5"
    assert case.sample.response_tokens == 3  # words, where no count is given


def test_cases_are_groups_of_their_own_unless_they_say_so(tmp_path: Path) -> None:
    lines = [{"answer": "1", "group": "a"}, {"answer": "2", "group": "a"}, {"answer": "3"}, {"answer": "4"}]
    groups = [case.sample.group_id for case in read(written(tmp_path, *lines))]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


def test_images_are_found_beside_the_file(tmp_path: Path) -> None:
    (case,) = read(written(tmp_path, {"answer": "1", "images": ["a.png"]}))
    assert [image.path for image in case.sample.images] == [str(tmp_path / "a.png")]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "cases.jsonl:1: this line is not JSON"),
        ("[1]", "cases.jsonl:1: it is a list of 1, expected an object"),
        ({"answer": "1", "refrence": "2"}, "cases.jsonl:1: unknown key refrence; did you mean reference?"),
        ({"reference": "2"}, "cases.jsonl:1: it needs either response (a whole text) or answer"),
        ({"answer": "1", "response": "1"}, "cases.jsonl:1: it needs either response (a whole text) or answer"),
        ({"answer": "1", "expected": "yes"}, 'expected is "yes", which is neither true, false nor a number'),
        ({"answer": "1", "task": "maths"}, "task is \"maths\", expected 'math', 'stem', 'exact' or 'open'"),
        ({"answer": 5}, "answer is 5, expected text"),
        ({"answer": "1", "images": ["http://x/a.png"]}, "is on the web"),
        ("\n", "the file is empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refusal:
        read(written(tmp_path, line))
    assert sentence in str(refusal.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read(Path("nowhere.jsonl"))


def test_one_case_on_the_command_line() -> None:
    case = single(answer="5", response=None, reference="5", task="math", prompt="")
    assert case.sample.response == r"\boxed{5}"
    with pytest.raises(ConfigError, match="did you mean math"):
        single(answer="5", response=None, reference="5", task="maths", prompt="")
    with pytest.raises(ConfigError, match="expected cases in --file"):
        single(answer=None, response=None, reference="5", task="math", prompt="")
