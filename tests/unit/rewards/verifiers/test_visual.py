"""Charts, documents, grounding, counting: expected values by hand from the papers' definitions."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.samples import direct

from halyard.data.types import ImageRef
from rewards.verifiers.charts import relaxed_accuracy
from rewards.verifiers.coordinates import Box, boxes_in, points_in
from rewards.verifiers.counting import counting
from rewards.verifiers.documents import anls, distance
from rewards.verifiers.grounding import box_iou, iou, point_in_box


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("105", "100", 1), ("95", "100", 1), ("105.01", "100", 0), ("94.99", "100", 0), ("-100", "100", 0),
        ("-96", "-100", 1), ("0", "0", 1), ("0.0001", "0", 0), ("1,050", "1000", 1), ("$1,000.", "1000", 1),
        ("12%", "12", 1), ("0.12", "12%", 1), ("12%", "0.12", 1), ("12%", "1.2", 0), ("3.1 million", "3000000", 1),
        ("1e3", "1000", 1), ("41 people", "41", 1), ("The value is 41.", "41", 1),
        ("In 2010 the value was 41", "41", 1),
        (r"\boxed{42}", "41", 1), (r"\boxed{41} or \boxed{60}", "41", 0), ("It is 41 or it is 60", "41", 0),
        ("41 or 60", "41", 0), ("between 0 and 100", "41", 0), ("It is not 41", "41", 0), ("1", "41", 0),
        ("Blue", "blue", 1), ("the answer is Blue", "Blue", 1), ("Blue and red", "Blue", 0), ("", "41", 0),
        ("Blue", "41", 0),
        ("nan", "41", 0), ("inf", "41", 0), ("1e999", "41", 0), ("9" * 5000, "41", 0), ("4１", "41", 1),
        ("−41", "-41", 1),
        ("41", '["40.9", "x"]', 1), ("x", '["40.9", "x"]', 1), ("y", '["40.9", "x"]', 0), ("Answer: 41", "41", 1),
        ("17 = 41", "41", 0),
    ],
)  # fmt: skip
def test_relaxed_accuracy_is_within_five_percent(answer: str, reference: str, score: float) -> None:
    assert relaxed_accuracy(direct(answer, reference)).score == score


def test_years_are_exact_when_asked() -> None:
    assert relaxed_accuracy(direct("2010", "2015")).score == 1
    assert relaxed_accuracy(direct("2010", "2015"), exact_years=True).score == 0
    assert relaxed_accuracy(direct("2015", "2015"), exact_years=True).score == 1
    assert relaxed_accuracy(direct("2010", "2015"), tolerance=0.001).score == 0


@pytest.mark.parametrize("judge", [relaxed_accuracy, counting, anls, box_iou, point_in_box])
@pytest.mark.parametrize("reference", [None, "", " "])
def test_without_a_reference_there_is_no_zero(judge: Any, reference: str | None) -> None:
    judgement = judge(direct("5", reference))
    assert judgement.score is None
    assert judgement.reason.startswith("bad reference: expected")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("kitten", "sitting", 3), ("flaw", "lawn", 2), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0), ("猫在",
    "猫", 1)],
)  # fmt: skip
def test_distances_known_from_textbooks(left: str, right: str, expected: int) -> None:
    assert distance(left, right) == distance(right, left) == expected


def test_distances_agree_with_the_table_of_wagner_and_fischer() -> None:
    rng = random.Random(0)
    for _ in range(300):
        left, right = ("".join(rng.choices("abc", k=rng.randrange(12))) for _ in range(2))
        row = list(range(len(right) + 1))
        for i, a in enumerate(left, 1):
            above, row = row, [i]
            for j, b in enumerate(right, 1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        assert distance(left, right) == row[-1]


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("Coca Cola", '["Coca Cola", "Coca Cola Company"]', 1),
        ("CocaCola", '["Coca Cola", "Coca Cola Company"]', 8 / 9),
        ("The Coca", '["Coca Cola", "Coca Cola Company"]', 0),
        ("Cola", '["Coca Cola", "Coca Cola Company"]', 0),
        ("Cat", '["Coca Cola", "Coca Cola Company"]', 0),
        ("hamilton  ", "Hamilton", 1),
        (r"\boxed{Hamiltom}", "Hamilton", 7 / 8),
        ("ab", "cb", 0),
        ("", "Hamilton", 0),
        ("5", "5", 1),
    ],
)
def test_anls_forgives_letters_below_half(answer: str, reference: str, score: float) -> None:
    """The Coca Cola rows are the example of the competition's own scorer."""
    assert anls(direct(answer, reference)).score == pytest.approx(score)


def test_anls_of_long_texts_is_quick() -> None:
    text, began = "abcdefghi " * 390, time.process_time()
    assert anls(direct(f"\\boxed{{{text}x}}", text + "y")).score == pytest.approx(1 - 1 / 3901)
    assert anls(direct("a" * 1_000_000, "abc")).score == 0
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("7", "7", 1), ("seven", "7", 1), ("There are seven cats.", "7", 1),
        ("七只", "7", 1), ("一共有七只猫", "7", 1),
        ("十二", "12", 1), ("二十一", "21", 1), ("twenty-one", "21", 1), ("None", "0", 1), ("7.0", "7", 1),
        ("８", "8", 1),
        ("答案是7", "7", 1), ("8", "7", 0), ("6 or 7", "7", 0), ("1, 2, 3, 4, 5, 6, 7", "7", 0), ("", "7", 0),
        ("many", "7", 0),
        ("There are 3 cats, and there are 4 dogs", "7", 0), (r"\boxed{7}", "7", 1), (r"\boxed{}", "7", 0),
        ("-7", "7", 0),
        ("7" * 1000, "7", 0), ("seventeen", "7", 0), ("about 7", "7", 1), ("7.5", "7", 0), ("4 = 7", "7", 0),
        (r"\boxed{7\%}", "7", 0), ("7%", "7", 0), ("x = 7", "7", 1),
    ],
)  # fmt: skip
def test_counting_wants_one_number(answer: str, reference: str, score: float) -> None:
    assert counting(direct(answer, reference)).score == score


def test_near_counts_pay_when_asked() -> None:
    scores = [counting(direct(str(n), "10"), partial=True).score for n in (10, 8, 15, 20, 40)]
    assert scores == [1.0, pytest.approx(0.8), pytest.approx(0.5), 0.0, 0.0]


def test_overlaps_by_hand() -> None:
    assert iou(Box(0, 0, 2, 2), Box(0, 0, 2, 2)) == 1
    assert iou(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou(Box(0, 0, 2, 2), Box(2, 0, 4, 2)) == 0
    assert iou(Box(2, 2, 0, 0), Box(0, 0, 2, 2)) == 0
    assert iou(Box(1, 1, 1, 1), Box(1, 1, 1, 1)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3, 4]", "1, 2, 3, 4", "(1,2),(3,4)", "[[1, 2], [3, 4]]", "<box>1, 2, 3, 4</box>",
        "<box>[[1,2,3,4]]</box>",
        "<|box_start|>(1,2),(3,4)<|box_end|>", '{"bbox_2d": [1, 2, 3, 4], "label": "cat 5"}', "{'bbox': [1, 2, 3, 4]}",
        '```json\n[{"bbox_2d": [1, 2, 3, 4]}]\n```', '{"x1": 1, "y1": 2, "x2": 3, "y2": 4}', "x1=1, y1=2, x2=3, y2=4",
        '{"x": 1, "y": 2, "width": 2, "height": 2}', "The cat 5 is at [1.0, 2.0, 3.0, 4.0].",
        "image 1: <box>(1,2),(3,4)</box>",
        '{"left": 1, "top": 2, "right": 3, "bottom": 4}',
    ],
)  # fmt: skip
def test_boxes_are_read_as_models_write_them(text: str) -> None:
    assert boxes_in(text) == [Box(1, 2, 3, 4)]


@pytest.mark.parametrize(
    "text",
    ["(5, 7)", "[5, 7]", "5, 7",
    '{"point_2d": [5, 7]}', '{"x": 5, "y": 7}', '<point x="5" y="7" alt="dog 2">a dog</point>'],
)  # fmt: skip
def test_points_are_read_as_models_write_them(text: str) -> None:
    assert points_in(text) == [(5, 7)]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("[0, 0, 2, 2]", 1), ("[1, 1, 3, 3]", 1 / 7), (r"\boxed{[0, 0, 2, 2]}", 1), ("[0,0,2,2] [0,0,2,2]", 1),
        ("[0,0,2,2] [5,5,6,6]", 0), ("It is not [0,0,2,2]", 0), ("不是 [0,0,2,2]", 0), ("[2,2,0,0]", 0),
        ("[0,0,1e400,2]", 0), ('{"bbox": [0, 0, NaN, 2]}', 0),
        ("", 0), ("[0,0,2]", 0), ("the cat", 0),
        (str([[0, 0, 2, n] for n in range(50)]), 0), ("[" * 50_000, 0), ("1," * 9_000, 0),
        ('{"bbox": [1' + "0" * 400 + ", 0, 2, 2]}", 0),
    ],
)  # fmt: skip
def test_one_box_is_paid_by_its_overlap(answer: str, score: float) -> None:
    assert box_iou(direct(answer, "[0, 0, 2, 2]")).score == pytest.approx(score)


def test_several_boxes_are_matched_in_any_order() -> None:
    reference = "[[0,0,2,2],[10,10,12,12]]"
    assert box_iou(direct("[[10,10,12,12],[0,0,2,2]]", reference)).score == 1
    assert box_iou(direct("[0,0,2,2]", reference)).score == pytest.approx(1 / 2)
    assert box_iou(direct("[[0,0,2,2],[10,10,12,12],[5,5,6,6]]", reference)).score == pytest.approx(2 / 3)


def test_scales_are_turned_into_each_other() -> None:
    size = {"metadata": {"width": 200, "height": 100}}
    right = direct("[500, 500, 1000, 1000]", "[100, 50, 200, 100]", **size)
    assert box_iou(right, answer_scale="thousand").score == pytest.approx(1)
    assert box_iou(right).score == 0
    assert box_iou(
        direct("[0.5, 0.5, 1, 1]", "[100, 50, 200, 100]", **size), answer_scale="unit"
    ).score == pytest.approx(1)
    assert point_in_box(direct("(750, 750)", "[100, 50, 200, 100]", **size), answer_scale="thousand").score == 1
    assert point_in_box(direct("(50, 50)", "[0.4, 0.4, 0.6, 0.6]"), "hundred", "unit").score == 1
    without = box_iou(direct("[0.5, 0.5, 1, 1]", "[100, 50, 200, 100]"), answer_scale="unit")
    assert (without.score, "image's size" in without.reason) == (None, True)


def test_the_size_comes_from_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    images = (ImageRef(path=str(tmp_path / "a.png")),)
    asked = direct("[0.5, 0.5, 1, 1]", "[100, 50, 200, 100]", images=images)
    assert box_iou(asked, answer_scale="unit").score == pytest.approx(1)


def test_width_and_height_and_thresholds() -> None:
    assert box_iou(direct("[1, 1, 2, 2]", "[1, 1, 2, 2]"), extent=True).score == 1
    assert box_iou(direct("[0,0,2,1]", "[0,0,2,2]"), threshold=0.5).score == 1
    assert box_iou(direct("[0,0,2,0.99]", "[0,0,2,2]"), threshold=0.5).score == 0


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("(1, 1)", 1), ("(0, 2)", 1), ("(2.01, 1)", 0), ("(1, 1) (1, 1)", 1), ("(1, 1) (5, 5)", 0), ("[0, 0, 2, 2]", 0),
        ("", 0), ("(nan, nan)", 0), ('{"point_2d": [1, 1]}', 1), ("(-1, 1)", 0), ("It is not (1, 1).", 0),
        ("(1, 1). No, that is wrong", 0),
        ("[" + "7, " * 2000 + "7] (1, 1)", 0), ("The cat 5 is at (1, 1)", 1),
    ],
)  # fmt: skip
def test_a_point_hits_or_misses(answer: str, score: float) -> None:
    assert point_in_box(direct(answer, "[0, 0, 2, 2]")).score == score
