"""Speed, distance, density and conversion of units, in words alone; answers carry their unit."""

from __future__ import annotations

from random import Random

from halyard.data.synthetic.problem import Problem, scaled

MOVERS = ("car", "train", "bike", "boat")
SOLIDS = ("block", "stone", "ball", "coin")
CONVERSIONS = (
    ("kg", "g", 1000),
    ("km", "m", 1000),
    ("l", "ml", 1000),
    ("m", "cm", 100),
    ("cm", "mm", 10),
    ("h", "min", 60),
    ("min", "s", 60),
)


def generate(random: Random, difficulty: float) -> Problem:
    """A quotient, a product or a conversion; larger numbers when harder."""
    return random.choice((_speed, _distance, _density, _conversion))(random, difficulty)


def _factors(random: Random, difficulty: float) -> tuple[int, int]:
    return random.randint(2, scaled(difficulty, 9, 25)), random.randint(2, scaled(difficulty, 5, 9))


def _problem(question: str, formula: str, numbers: str, result: int | str, unit: str) -> Problem:
    answer = f"{result} {unit}"
    return Problem(question=question, answer=answer, reasoning=f"{formula}. {numbers} = {result}. so {answer}.")


def _speed(random: Random, difficulty: float) -> Problem:
    speed, time = _factors(random, difficulty)
    way = speed * time
    question = f"a {random.choice(MOVERS)} drives {way} m in {time} s. speed in m/s?"
    return _problem(question, "speed = distance / time", f"{way} / {time}", speed, "m/s")


def _distance(random: Random, difficulty: float) -> Problem:
    speed, time = _factors(random, difficulty)
    question = f"a {random.choice(MOVERS)} drives {speed} m/s for {time} s. distance in m?"
    return _problem(question, "distance = speed * time", f"{speed} * {time}", speed * time, "m")


def _density(random: Random, difficulty: float) -> Problem:
    density, volume = _factors(random, difficulty)
    mass = density * volume
    question = f"a {random.choice(SOLIDS)} of {volume} cm3 weighs {mass} g. density in g/cm3?"
    return _problem(question, "density = mass / volume", f"{mass} / {volume}", density, "g/cm3")


def _conversion(random: Random, difficulty: float) -> Problem:
    """Conversion to the smaller unit; with a decimal where the factor is a power of ten and it is harder."""
    large, small, factor = random.choice(CONVERSIONS)
    tenths = 10 * random.randint(1, scaled(difficulty, 9, 30))
    if factor != 60 and random.random() < difficulty:
        tenths += random.randint(1, 9)
    amount = str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"
    rule = f"1 {large} = {factor} {small}"
    return _problem(f"convert {amount} {large} to {small}.", rule, f"{amount} * {factor}", tenths * factor // 10, small)
