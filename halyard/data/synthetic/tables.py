"""Reading a table of two or three rows and columns, and computing with it."""

from __future__ import annotations

from random import Random

from halyard.data.drawing import CELL, Drawing, Mark, drawing, label
from halyard.data.synthetic.problem import Problem, running_total, scaled

ROWS, COLUMNS = "xyz", "abc"

Table = dict[tuple[str, str], int]


def generate(random: Random, difficulty: float) -> Problem:
    """One cell, the sum of a row or column, or the difference of two cells of a row."""
    rows = ROWS[: 3 if random.random() < difficulty else 2]
    columns = COLUMNS[: 3 if random.random() < difficulty else 2]
    most = max(scaled(2 * difficulty, 5, 9), scaled(2 * difficulty - 1, 9, 29))
    table = {(row, column): random.randint(1, most) for row in rows for column in columns}
    ask = random.choice((_cell, _row, _column, _difference))
    question, reasoning, answer = ask(random, table, rows, columns)
    picture = _picture(table, rows, columns)
    return Problem(question=question, answer=str(answer), reasoning=f"{reasoning}. so {answer}.", drawing=picture)


def _cell(random: Random, table: Table, rows: str, columns: str) -> tuple[str, str, int]:
    row, column = random.choice(rows), random.choice(columns)
    value = table[row, column]
    return f"what is in row {row}, column {column}?", f"row {row}, column {column} is {value}", value


def _row(random: Random, table: Table, rows: str, columns: str) -> tuple[str, str, int]:
    row = random.choice(rows)
    parts = [(f"{row} {column}", table[row, column]) for column in columns]
    return f"what is the sum of row {row}?", running_total(parts), sum(value for _, value in parts)


def _column(random: Random, table: Table, rows: str, columns: str) -> tuple[str, str, int]:
    column = random.choice(columns)
    parts = [(f"{row} {column}", table[row, column]) for row in rows]
    return f"what is the sum of column {column}?", running_total(parts), sum(value for _, value in parts)


def _difference(random: Random, table: Table, rows: str, columns: str) -> tuple[str, str, int]:
    row = random.choice(rows)
    high, low = sorted(random.sample(columns, 2), key=lambda column: -table[row, column])
    more, less = table[row, high], table[row, low]
    steps = f"{row} {high} {more}, {row} {low} {less}. {more} - {less} = {more - less}"
    return f"what is {high} minus {low} in row {row}?", steps, more - less


def _picture(table: Table, rows: str, columns: str) -> Drawing:
    right, bottom = (len(columns) + 1) * CELL, (len(rows) + 1) * CELL
    marks: list[Mark] = [
        {"line": [0, CELL - 1, right, CELL - 1], "colour": "black", "width": 2},
        {"line": [CELL - 1, 0, CELL - 1, bottom], "colour": "black", "width": 2},
        *(label(name, row=0, column=i + 1, colour="blue") for i, name in enumerate(columns)),
        *(label(name, row=i + 1, column=0, colour="blue") for i, name in enumerate(rows)),
    ]
    for (row, column), value in table.items():
        marks.append(label(str(value), row=rows.index(row) + 1, column=columns.index(column) + 1))
    return drawing(marks)
