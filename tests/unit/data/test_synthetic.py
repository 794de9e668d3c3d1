"""The generated problems: exact, disjoint between the splits, and the same for the same seed."""

from __future__ import annotations

import json
import operator
import re

import pytest
from pydantic import ValidationError

from configs.data import SyntheticSource
from halyard.data import synthetic
from halyard.data.drawing import CELL, render
from halyard.data.types import Row
from halyard.errors import DataError

ALL = tuple(synthetic.FAMILIES)


def make(**keys) -> list[Row]:
    return synthetic.make(SyntheticSource(**keys))


def content(row: Row) -> str:
    drawing = [ref.drawing for ref in row.messages[0].images]
    return json.dumps([row.messages[0].text, drawing], sort_keys=True)


def marks(row: Row) -> list[dict]:
    (image,) = row.messages[0].images
    assert image.drawing
    return image.drawing["marks"]


def seen_in_grid(row: Row, key: str) -> dict[tuple[int, int], dict]:
    """Marks of a kind by (row, column) of the grid cell they are in: an eye of the test's own."""
    return {(m["at"][1] // CELL, m["at"][0] // CELL): m for m in marks(row) if key in m}


def solve_sum(row: Row) -> int:
    cells = seen_in_grid(row, "text")
    upper = int("".join(cells[1, c]["text"] for c in range(4) if (1, c) in cells))
    lower = int("".join(cells[2, c]["text"] for c in range(2, 4) if (2, c) in cells))
    return upper + lower if cells[2, 1]["text"] == "+" else upper - lower


def solve_chart(row: Row) -> int:
    bars: dict[str, int] = {}
    for mark in marks(row):
        if "box" in mark:
            bars[mark["colour"]] = bars.get(mark["colour"], 0) + 1
    question = row.messages[0].text
    if "largest" in question:
        return max(bars.values())
    if "total" in question:
        return sum(bars.values())
    first, second = re.findall(r"red|blue|green|yellow", question)
    return bars[first] - bars[second]


def solve_count(row: Row) -> int:
    colour, shape = row.messages[0].text.removeprefix("how many ").removesuffix("s?").split()
    return sum(m["colour"] == colour and m["shape"] == shape for m in marks(row))


def solve_table(row: Row) -> int:
    cells = seen_in_grid(row, "text")
    columns = {m["text"]: c for (r, c), m in cells.items() if r == 0}
    lines = {m["text"]: r for (r, c), m in cells.items() if c == 0}
    value = {(x, y): int(cells[r, c]["text"]) for x, r in lines.items() for y, c in columns.items()}
    question = row.messages[0].text
    if match := re.search(r"in row (.), column (.)", question):
        return value[match[1], match[2]]
    if match := re.search(r"sum of row (.)", question):
        return sum(value[match[1], y] for y in columns)
    if match := re.search(r"sum of column (.)", question):
        return sum(value[x, match[1]] for x in lines)
    high, low, line = re.search(r"is (.) minus (.) in row (.)", question).groups()
    return value[line, high] - value[line, low]


def solve_stem(row: Row) -> str:
    question = row.messages[0].text
    if match := re.search(r"drives (\d+) m in (\d+) s", question):
        return f"{int(match[1]) // int(match[2])} m/s"
    if match := re.search(r"drives (\d+) m/s for (\d+) s", question):
        return f"{int(match[1]) * int(match[2])} m"
    if match := re.search(r"of (\d+) cm3 weighs (\d+) g", question):
        return f"{int(match[2]) // int(match[1])} g/cm3"
    amount, large, small = re.fullmatch(r"convert (\S+) (\w+) to (\w+)\.", question).groups()
    in_base = {"kg": 1000, "g": 1, "km": 100_000, "m": 100, "cm": 1, "mm": 0.1, "l": 1000, "ml": 1, "h": 3600}
    in_base |= {"min": 60, "s": 1}
    return f"{round(float(amount) * in_base[large] / in_base[small])} {small}"


SOLVERS = {
    "sum": solve_sum,
    "chart": solve_chart,
    "count": solve_count,
    "table": solve_table,
    "stem": solve_stem,
}


@pytest.mark.parametrize("difficulty", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("family", SOLVERS)
def test_the_answer_is_what_the_picture_says(family: str, difficulty: float) -> None:
    for row in make(families=(family,), rows=150, difficulty=difficulty):
        assert str(SOLVERS[family](row)) == row.answer
        assert row.messages[1].text == rf"\boxed{{{row.answer}}}"


@pytest.mark.parametrize("family", SOLVERS)
def test_every_step_of_the_reasoning_holds(family: str) -> None:
    calculate = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    for row in make(families=(family,), rows=300, difficulty=0.7):
        reasoning = row.messages[1].reasoning
        assert reasoning is not None
        assert reasoning.endswith(f"so {row.answer}.")
        for left, right in re.findall(r"((?:[\d.]+ [-+*/] )+[\d.]+) = (\d+)", reasoning):
            total, *rest = left.split()
            total = float(total)
            for sign, number in zip(rest[::2], rest[1::2], strict=True):
                total = calculate[sign](total, float(number))
            assert total == pytest.approx(float(right)), reasoning


def test_running_totals_add_up() -> None:
    for row in make(families=("chart", "table"), rows=300, difficulty=0.7):
        total = 0
        for value, makes in re.findall(r"(\d+)(?: makes (\d+))?[,.]", row.messages[1].reasoning or ""):
            if not makes:
                total = int(value)
            else:
                total += int(value)
                assert total == int(makes)


def test_the_tally_looks_at_every_cell_in_reading_order() -> None:
    for row in make(families=("count",), rows=200, difficulty=1.0):
        colour, shape = row.messages[0].text.removeprefix("how many ").removesuffix("s?").split()
        cells = seen_in_grid(row, "shape")
        expected, count = [], 0
        for r in range(4):
            for c in range(4):
                wanted = cells.get((r, c), {}).get("colour") == colour and cells[r, c]["shape"] == shape
                count += wanted
                expected.append(f"yes {count}" if wanted else "no")
        assert re.findall(r"yes \d+|no", row.messages[1].reasoning or "") == expected


@pytest.mark.parametrize("family", ALL)
def test_the_splits_share_no_question_whatever_seed_and_difficulty(family: str) -> None:
    train, validation = set(), set()
    for seed, difficulty in ((0, 0.0), (1, 0.5), (2, 0.5), (3, 1.0)):
        keys = {"families": (family,), "seed": seed, "difficulty": difficulty}
        train |= {content(row) for row in make(rows=600, **keys)}
        validation |= {content(row) for row in make(rows=100, split="validation", **keys)}
    assert len(train) > 500
    assert len(validation) > 60
    assert not train & validation


def test_the_same_source_gives_the_same_rows_and_another_seed_others() -> None:
    first = make(families=ALL, rows=70, seed=5)
    assert make(families=ALL, rows=70, seed=5) == first
    assert [content(row) for row in make(families=ALL, rows=70, seed=6)] != [content(row) for row in first]


def test_rows_do_not_depend_on_the_other_families_nor_on_how_many_are_made() -> None:
    alone = make(families=("chart",), rows=10)
    among = [row for row in make(families=("sum", "chart", "stem"), rows=60) if row.family == "chart"]
    assert among[:10] == alone


def test_the_two_modes_ask_the_same_under_different_ids() -> None:
    thinking = make(families=ALL, rows=70)
    direct = make(families=ALL, rows=70, mode="direct")
    assert [content(row) for row in thinking] == [content(row) for row in direct]
    assert not {row.id for row in thinking} & {row.id for row in direct}
    assert all(row.messages[1].reasoning is None for row in direct)
    assert [row.messages[1].text for row in thinking] == [row.messages[1].text for row in direct]


def test_ids_are_unique_and_families_interleaved() -> None:
    rows = make(families=ALL, rows=2000)
    assert len({row.id for row in rows}) == 2000
    assert [row.family for row in rows[:7]] == list(ALL)


@pytest.mark.parametrize("family", ALL)
def test_wording_is_short_and_lower_case(family: str) -> None:
    for row in make(families=(family,), rows=200, difficulty=1.0):
        assert row.messages[0].text == row.messages[0].text.lower()
        assert len(row.messages[0].text.split()) <= 25
        pieces = re.findall(r"[a-z]+|\d|[^\sa-z\d]", row.messages[1].reasoning or "")  # every digit on its own
        assert len(pieces) <= 70


def test_harder_problems_have_larger_numbers() -> None:
    def mean_answer(difficulty: float) -> float:
        answers = [int(row.answer or "") for row in make(families=("sum", "count"), rows=400, difficulty=difficulty)]
        return sum(answers) / len(answers)

    means = [mean_answer(difficulty) for difficulty in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert means == sorted(means)


@pytest.mark.parametrize("family", [name for name in ALL if name != "stem"])
def test_different_drawings_give_different_pictures(family: str) -> None:
    rows = make(families=(family,), rows=60, difficulty=1.0)
    drawings = {json.dumps(row.messages[0].images[0].drawing): row.messages[0].images[0].drawing for row in rows}
    pictures = {render(drawing).tobytes() for drawing in drawings.values()}
    assert len(pictures) == len(drawings)


def test_a_caption_names_what_is_there_from_top_to_bottom() -> None:
    numbers = {"one": 1, "two": 2, "three": 3, "four": 4}
    for row in make(families=("describe",), rows=200, difficulty=1.0):
        if row.messages[0].text != "describe the picture.":
            continue
        lines = {}
        for (line, _), mark in sorted(seen_in_grid(row, "shape").items()):
            lines.setdefault(line, []).append((mark["colour"], mark["shape"]))
        caption = [part.split() for part in (row.answer or "").split(" above ")]
        assert [(numbers[n], colour, noun.removesuffix("s")) for n, colour, noun in caption] == [
            (len(things), *things[0]) for _, things in sorted(lines.items())
        ]


def test_a_share_of_the_traces_is_cut_to_the_conclusion() -> None:
    whole, cut = make(rows=1000), make(rows=1000, brief=0.3)
    pairs = [(str(a.messages[-1].reasoning), str(b.messages[-1].reasoning)) for a, b in zip(whole, cut, strict=True)]
    assert 250 < sum(a != b for a, b in pairs) < 350
    assert all(a.endswith(b) and (a == b or b.startswith("so ")) for a, b in pairs)


def test_hasty_traces_come_to_a_wrong_answer_beside_the_right_one() -> None:
    whole, mixed = make(rows=1000), make(rows=1000, brief=0.2, hasty=0.3)
    hasty = 0
    for right, row in zip(whole, mixed, strict=True):
        said, steps = row.messages[-1].text, str(row.messages[-1].reasoning)
        assert row.answer == right.answer
        if said == right.messages[-1].text:
            assert str(right.messages[-1].reasoning).endswith(steps)
        else:
            hasty += 1
            assert said == rf"\boxed{{{steps.removeprefix('so ').removesuffix('.')}}}" != rf"\boxed{{{row.answer}}}"
    assert 250 < hasty < 350


def test_more_traces_than_there_are_cannot_be_cut_short() -> None:
    with pytest.raises(ValidationError, match=r"brief 0.6 and hasty 0.5 are more than all traces"):
        SyntheticSource(brief=0.6, hasty=0.5)


def test_parts_that_do_not_overlap_share_no_question() -> None:
    families = ("sum", "chart", "count", "table", "stem")
    first = {content(row) for row in make(families=families, rows=600, difficulty=0.25, part=(0.0, 0.6))}
    second = {content(row) for row in make(families=families, rows=600, difficulty=0.25, part=(0.6, 1.0))}
    whole = {content(row) for row in make(families=families, rows=600, difficulty=0.25)}
    assert not first & second
    assert 0.5 < len(whole & first) / (len(whole & first) + len(whole & second)) < 0.9


def test_a_part_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"part is 0.5 to 0.5, expected a first share below the second"):
        SyntheticSource(part=(0.5, 0.5))
    with pytest.raises(DataError, match=r"family sum has no question of the validation split in part 0.5 to 0.5"):
        make(families=("sum",), split="validation", difficulty=0.0, part=(0.5, 0.5001))
