"""Where something is in an image: boxes by their overlap, points by whether they hit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.structure import last_boxed
from rewards.verifiers.coordinates import LONGEST, Box, Point, Scale, boxes_in, points_in, scaled
from rewards.verifiers.reading import DENIED


@reward
def box_iou(
    sample: Sample,
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None,
    answer_scale: Scale = "pixels",
    reference_scale: Scale = "pixels",
    extent: bool = False,
) -> Judgement:
    r"""How well the answer's boxes cover the reference's: intersection over union, from 0 to 1.

    One box is compared with one; two different ones are no answer to that. Of several, each reference takes the
    best box left, the best pair first, and the sum is divided by the larger number of boxes: one that is missing
    or too many costs its share. Boxes are read from lists `[x1, y1, x2, y2]`, pairs `(x1,y1),(x2,y2)`, tags such as
    `<box>` and `<|box_start|>`, and JSON (`bbox_2d`, `x1`…, `left`…, `x`, `y`, `width`, `height`).

    Where only one side is in pixels, the image's size comes from metadata `width` and `height`, or from the
    first image.

    Source: Rezatofighi et al. 2019 (arXiv 1902.09630), equation 1; a threshold of 0.5 gives the accuracy of
    RefCOCO.

    Example: reference `[10, 10, 30, 30]`, right answer `<box>10, 10, 30, 30</box>`

    Args:
        threshold: pays 1 from this overlap on and 0 below it; none pays the overlap itself.
        answer_scale: what the answer's coordinates count: pixels, or the image's sides as 1, 100 or 1000.
        reference_scale: the same of the reference.
        extent: whether four bare numbers are left, top, width, height, in answer and reference.
    """
    wanted = boxes_in(sample.reference or "", extent)
    if not wanted or not all(one.area for one in wanted):
        return failed("bad reference", f"expected boxes with an area, found {brief(sample.reference or '')!r}")
    size = _size(sample, answer_scale, reference_scale)
    if isinstance(size, Judgement):
        return size
    found = list(dict.fromkeys(boxes_in(_answer(sample), extent)))
    if not found:
        return Judgement(0.0, f"no box in {brief(sample.answer)!r}")
    if len(found) > (10 * len(wanted) if len(wanted) > 1 else 1):
        return Judgement(0.0, f"{len(found)} boxes for {len(wanted)}")
    overlap = coverage(
        [scaled(one, answer_scale, size) for one in found], [scaled(one, reference_scale, size) for one in wanted]
    )
    reason = f"{len(found)} for {len(wanted)} boxes, overlap {overlap:.3f}"
    return Judgement(overlap if threshold is None else float(overlap >= threshold), reason, {"iou": overlap})


@reward
def point_in_box(sample: Sample, answer_scale: Scale = "pixels", reference_scale: Scale = "pixels") -> Judgement:
    """1 if the one point of the answer lies in the reference's box, its edge included, or in one of its boxes.

    Points are read from `(x, y)`, `[x, y]`, `<point x="…" y="…">` and JSON (`point_2d`, `x` and `y`). Different
    points are no answer.

    Source: the accuracy of Cheng et al. 2024 (SeeClick, arXiv 2401.10935) on ScreenSpot.

    Example: reference `[10, 10, 30, 30]`, right answer `(20, 15)`

    Args:
        answer_scale: what the answer's coordinates count: pixels, or the image's sides as 1, 100 or 1000.
        reference_scale: the same of the reference.
    """
    wanted = boxes_in(sample.reference or "")
    if not wanted:
        return failed("bad reference", f"expected a box, found {brief(sample.reference or '')!r}")
    size = _size(sample, answer_scale, reference_scale)
    if isinstance(size, Judgement):
        return size
    found = set(points_in(_answer(sample)))
    if len(found) != 1:
        return Judgement(0.0, f"expected one point, found {len(found)} in {brief(sample.answer)!r}")
    (point,) = found
    at = scaled(Box(*point, *point), answer_scale, size)
    hit = any(_holds(scaled(one, reference_scale, size), Point(at.left, at.top)) for one in wanted)
    return Judgement(
        float(hit), f"({point.x:g}, {point.y:g}) is {'in' if hit else 'outside'} {brief(sample.reference or '')}"
    )


def _answer(sample: Sample) -> str:
    """The text with the coordinates; empty for one that says what is not there, or takes it back."""
    return "" if DENIED.search(sample.answer[:LONGEST]) else last_boxed(sample.answer) or sample.answer


def _size(sample: Sample, one: Scale, other: Scale) -> tuple[int, int] | Judgement | None:
    """The image's size in pixels where scales must be turned into each other; None where they need not."""
    if one == other or "pixels" not in (one, other):
        return None
    named = (sample.metadata.get("width"), sample.metadata.get("height"))
    if all(isinstance(side, int) and side > 0 for side in named):
        return named  # pyright: ignore[reportReturnType]
    if not sample.images:
        return failed("bad reference", "pixels need the image's size: metadata width and height, or an image")
    return sample.open_images()[0].size


def _holds(box: Box, point: Point) -> bool:
    return box.left <= point.x <= box.right and box.top <= point.y <= box.bottom


def iou(one: Box, other: Box) -> float:
    """Intersection over union; 0 where there is no area.

    >>> iou(Box(0, 0, 2, 2), Box(1, 0, 3, 2))
    0.3333333333333333
    """
    shared = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area
    union = one.area + other.area - shared
    return shared / union if shared and union else 0.0


def coverage(found: list[Box], wanted: list[Box]) -> float:
    """The overlaps of the best pairs, one box at most once, over the larger number of boxes."""
    pairs = sorted(((iou(a, b), i, j) for i, a in enumerate(found) for j, b in enumerate(wanted)), reverse=True)
    taken: set[int] = set()
    met: set[int] = set()
    total = 0.0
    for overlap, i, j in pairs:
        if i not in taken and j not in met:
            taken.add(i)
            met.add(j)
            total += overlap
    return total / max(len(found), len(wanted))
