"""The text that the tiny policies' tokenizer is trained on: made from templates, the same for a seed."""

from __future__ import annotations

from random import Random

COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple")
SHAPES = ("circle", "square", "triangle", "star", "bar", "line", "point", "box")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PLACES = ("above", "below", "left of", "right of", "beside", "inside")
SIZES = ("small", "large", "short", "long", "first", "last", "next", "same")
UNITS = ("m", "cm", "mm", "km", "s", "min", "h", "g", "kg", "cm3", "m/s", "km/h", "g/cm3", "l", "ml", "euro", "percent")
THINGS = ("car", "train", "stone", "block", "box", "bottle", "rope", "wire", "runner", "boat", "apple", "book")
MEASURES = ("speed", "density", "mass", "volume", "time", "distance", "length", "weight", "price", "area")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
ROLES = ("system", "user", "assistant")

QUESTIONS = (
    "what is {a} + {b}?",
    "add the two numbers.",
    "subtract the two numbers.",
    "what is the sum?",
    "what is the difference?",
    "what is {colour} minus {colour2}?",
    "what is the largest value?",
    "what is the smallest value?",
    "what is the total of all bars?",
    "which bar is the highest?",
    "how many {colour} {shape}s?",
    "how many {shape}s are there in the picture?",
    "what is {letter} minus {letter2} in row {letter3}?",
    "what is the sum of row {letter}?",
    "what is in row {letter}, column {letter2}?",
    "convert {a} {unit} to {unit2}.",
    "a {thing} of {a} {unit} weighs {b} {unit2}. {measure} in {unit}?",
    "a {thing} goes {a} {unit} in {b} {unit2}. what is its {measure}?",
    "what {measure} in {unit}?",
    "what colour is it?",
    "what shape is it?",
    "what number is shown?",
    "what word is shown?",
    "describe the picture.",
    "read the text in the image.",
    "does the reasoning agree with the answer? yes or no.",
    "please answer the question with a short caption.",
)
STEPS = (
    "{a} + {b} = {c}",
    "{a} - {b} = {c}",
    "{a} * {b} = {c}",
    "{a} / {b} = {c}",
    "ones {a} + {b} = {c} carry 1",
    "ones {a} - {b} = {c} borrow 1",
    "tens {a} + {b} + 1 = {c}",
    "hundreds {a}",
    "{colour} {a}, {colour2} {b} makes {c}",
    "{colour} {a} top {b}",
    "{letter} {letter2} {a}, {letter} {letter3} {b} makes {c}",
    "row {a}: yes {b} no yes {c} no no",
    "row {letter}, column {letter2} is {a}",
    "1 {unit} = {a} {unit2}",
    "{measure} = {measure2} / {measure3}",
    "{measure} = {measure2} * {measure3}",
    "{a}.{b} {unit} * {a} = {c}",
    "the {shape} is {colour}",
    "first count the {shape}s, then step by step the total",
    "there are {number} {colour} {shape}s {place} {number2} {colour2} {shape2}s",
    "reasoning: {a} + {b} = {c}. so {c}. answer: {c}",
)
ANSWERS = (
    "\\boxed{{{a}}}",
    "\\boxed{{{a} {unit}}}",
    "{number} {colour} {shape}s {place} {number2} {colour2} {shape2}s",
    "{colour}",
    "the answer is \\boxed{{{a}}}.",
    "{size} {colour} {shape}",
    "yes",
    "no",
)


def lines(seed: int, count: int = 6000) -> list[str]:
    """`count` short texts: a question, some steps, an answer; roles now and then."""
    random = Random(f"corpus {seed}")
    made = []
    for _ in range(count):
        steps = ". ".join(_fill(random, random.choice(STEPS)) for _ in range(random.randint(1, 4)))
        texts = (_fill(random, random.choice(QUESTIONS)), f"{steps}. so {random.randint(0, 99)}.", *ROLES)
        made += [*texts[: 2 + 3 * (random.random() < 0.1)], _fill(random, random.choice(ANSWERS))]
    return made


def _fill(random: Random, template: str) -> str:
    """A template with every slot filled at random."""
    return template.format(
        a=random.randint(0, 99),
        b=random.randint(0, 99),
        c=random.randint(0, 199),
        colour=random.choice(COLOURS),
        colour2=random.choice(COLOURS),
        shape=random.choice(SHAPES),
        shape2=random.choice(SHAPES),
        number=random.choice(NUMBERS),
        number2=random.choice(NUMBERS),
        place=random.choice(PLACES),
        size=random.choice(SIZES),
        unit=random.choice(UNITS),
        unit2=random.choice(UNITS),
        thing=random.choice(THINGS),
        measure=random.choice(MEASURES),
        measure2=random.choice(MEASURES),
        measure3=random.choice(MEASURES),
        letter=random.choice(LETTERS),
        letter2=random.choice(LETTERS),
        letter3=random.choice(LETTERS),
    )
