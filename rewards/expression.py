r"""LaTeX expressions as trees: numbers, letters, + - * / ^, \frac, \sqrt, the usual functions, and nothing else.

What could be read in two ways is not read at all: f(x), 1/2x, words.
\log without a base is to a base that is not known, BASE, the same throughout.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

BASE = "base of log"
LONGEST = 300
DEEPEST = 20
MOST_DIGITS = 40

_SKIP = re.compile(r"\\(?:[,;:!> ]|q?quad(?![a-zA-Z])|(?:left|right|[bB]igg?[lr]?|displaystyle)(?![a-zA-Z]))|[~\s]+")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|\\[a-zA-Z]+|\*\*|[a-zA-Z+*/^_(){}\[\]|!-]", re.ASCII)
_BAR = re.compile(r"\\[lr]?vert(?![a-zA-Z])")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_UNSURE = re.compile(r"(?<![_^\d.])[\d.]+ +[\d.]|[a-zA-Z]{3}")
"""Digits in two groups, and words."""
_GREEK_LETTERS = """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho
sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega"""
_GREEK = frozenset(_GREEK_LETTERS.split())
TRIGONOMETRIC = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "sinh": "arsinh", "cosh": "arcosh", "tanh": "artanh"}
FUNCTIONS = TRIGONOMETRIC | {"sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "ln", "exp"}
_FRACTIONS = frozenset({"\\frac", "\\dfrac", "\\tfrac", "\\cfrac"})
_BINOMIALS = frozenset({"\\binom", "\\dbinom", "\\tbinom"})
_TIMES = frozenset({"*", "\\cdot", "\\times"})
_OVER = frozenset({"/", "\\div"})
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_STOPS = frozenset({"+", "-", ")", "}", "]", "^", "_", "!", "**"}) | _TIMES | _OVER
_CALLED = frozenset("fghFGHP")


class Tree(NamedTuple):
    """An operation on trees; a leaf has a number, or the name of a letter, instead.

    Operations: number, letter, pi, e, i, +, *, / , ^, neg, root (radicand, degree), log (argument, base),
    !, binom, abs, and the functions by their names.
    """

    operation: str
    children: tuple[Tree, ...] = ()
    number: Fraction = Fraction(0)
    letter: str = ""


class UnreadError(ValueError):
    """A text that is not surely an expression."""


def read(latex: str) -> Tree:
    r"""The tree of an expression.

    Raises:
        UnreadError: it is too long, or not surely to be read.

    >>> read(r"\frac{x}{2}").operation
    '/'
    """
    if len(latex) > LONGEST:
        raise UnreadError("long")
    text = _BAR.sub("|", _SKIP.sub(" ", latex))
    tokens = _TOKEN.findall(text)
    if sum(map(len, tokens)) != len(text.replace(" ", "")) or _UNSURE.search(_COMMAND.sub("*", text)):
        raise UnreadError("other characters, or words")
    reader = _Reader(tokens)
    tree = reader.sum()
    if reader.peek():
        raise UnreadError(reader.peek())
    return tree


def letters(tree: Tree) -> frozenset[str]:
    """The names of the letters in a tree."""
    return frozenset({tree.letter} - {""}).union(*map(letters, tree.children))


def number(value: int | Fraction) -> Tree:
    """The leaf for a number."""
    return Tree("number", number=Fraction(value))


class _Reader:
    """A reader of tokens from left to right, by recursive descent."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0
        self._in_angle = False
        self._in_bars = False

    def peek(self) -> str:
        """The next token; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def sum(self) -> Tree:
        """A sum, up to what cannot be part of it."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnreadError("deep")
        tree = self._product()
        while self.peek() in ("+", "-"):
            sign = self._next()
            term = self._product()
            tree = Tree("+", (tree, term if sign == "+" else Tree("neg", (term,))))
        self._depth -= 1
        return tree

    def _next(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise UnreadError(f"no {token}")

    def _product(self) -> Tree:
        tree = self._signed()
        while (token := self.peek()) and token not in ("+", "-", ")", "}", "]") and not self._closes_bars():
            if token in _TIMES:
                self._next()
                tree = Tree("*", (tree, self._signed()))
            elif token in _OVER:
                self._next()
                tree = Tree("/", (tree, self._signed()))
                if self.peek() and self.peek() not in _STOPS and not self._closes_bars():
                    raise UnreadError("1/2x")
            else:
                tree = self._beside(tree, self._power())
        return tree

    def _beside(self, left: Tree, right: Tree) -> Tree:
        """Two factors side by side; a whole number and a fraction make a mixed number."""
        if right.operation == "number":
            raise UnreadError("a number behind a factor")
        whole = left.operation == "number" and left.number.denominator == 1
        fraction = right.operation == "/" and all(one.operation == "number" for one in right.children)
        return Tree("+" if whole and fraction else "*", (left, right))

    def _signed(self) -> Tree:
        if self.peek() in ("+", "-"):
            return Tree("neg", (self._signed(),)) if self._next() == "-" else self._signed()
        return self._power()

    def _power(self) -> Tree:
        tree = self._atom()
        while self.peek() in ("^", "**", "!"):
            if self._next() == "!":
                if self.peek() == "!":
                    raise UnreadError("a double factorial")
                tree = Tree("!", (tree,))
            elif (degrees := self._degrees()) is not None:
                tree = Tree("*", (tree, degrees))
            else:
                exponent = self._group() if self.peek() in ("{", "(") else self._exponent()
                tree = Tree("^", (tree, exponent))
                if self.peek() in ("^", "**"):
                    raise UnreadError("a chain of powers")
        return tree

    def _degrees(self) -> Tree | None:
        """Pi/180 for a degree sign, which stands for that within an angle."""
        ahead = self._tokens[self._at : self._at + 3]
        if ahead[:1] != ["\\circ"] and ahead != ["{", "\\circ", "}"]:
            return None
        if not self._in_angle:
            raise UnreadError("degrees outside an angle")
        self._at += 1 if ahead[0] == "\\circ" else 3
        return Tree("/", (Tree("pi"), number(180)))

    def _exponent(self) -> Tree:
        """One token after ^: a digit in LaTeX, a whole number where people write x^12."""
        if self.peek() == "-":
            self._next()
            return Tree("neg", (self._exponent(),))
        return self._atom()

    def _group(self) -> Tree:
        outer, self._in_bars = self._in_bars, False
        closing = _CLOSING[self._next()]
        tree = self.sum()
        self._expect(closing)
        self._in_bars = outer
        return tree

    def _closes_bars(self) -> bool:
        return self._in_bars and self.peek() == "|"

    def _absolute(self) -> Tree:
        """The absolute value that starts here; the next bar closes it, if not within brackets."""
        if self._in_bars:
            raise UnreadError("bars within bars")
        self._in_bars = True
        tree = self.sum()
        self._expect("|")
        self._in_bars = False
        return Tree("abs", (tree,))

    def _argument(self) -> Tree:
        r"""What LaTeX takes for an argument: a group, or one character, as in \frac12."""
        if self.peek() == "{":
            return self._group()
        token = self.peek()
        if token.isdigit() and len(token) > 1:
            self._tokens[self._at : self._at + 1] = [token[0], token[1:]]
        return self._atom()

    def _atom(self) -> Tree:
        token = self.peek()
        if token in _CLOSING:
            return self._group()
        self._next()
        if token[:1].isdigit() or token[:1] == ".":
            if len(token) > MOST_DIGITS:
                raise UnreadError("many digits")
            return number(Fraction(token))
        if token == "|":
            return self._absolute()
        if len(token) == 1 and token.isalpha():
            return self._letter(token)
        return self._command(token)

    def _letter(self, token: str) -> Tree:
        if self.peek() == "_":
            self._next()
            return Tree("letter", letter=f"{token}_{self._subscript()}")
        if token in _CALLED and self.peek() == "(":
            raise UnreadError("f(x)")
        return Tree(token) if token in ("e", "i") else Tree("letter", letter=token)

    def _subscript(self) -> str:
        first = self._next()
        if first == "{":
            first = self._next()
            self._expect("}")
        if not first.isalnum():
            raise UnreadError("a subscript")
        return first

    def _command(self, token: str) -> Tree:
        name = token[1:]
        if token in _FRACTIONS or token in _BINOMIALS:
            operation = "/" if token in _FRACTIONS else "binom"
            return Tree(operation, (self._argument(), self._argument()))
        if token == "\\sqrt":
            degree = self._group() if self.peek() == "[" else number(2)
            return Tree("root", (self._argument(), degree))
        if token == "\\pi":
            return Tree("pi")
        if name in _GREEK:
            return self._letter(name)
        if token == "\\log":
            base = Tree("letter", letter=BASE)
            if self.peek() == "_":
                self._next()
                base = self._argument()
            return Tree("log", (self._operand(), base))
        if name in FUNCTIONS:
            return self._function(name)
        raise UnreadError(token)

    def _function(self, name: str) -> Tree:
        power: Tree | None = None
        if self.peek() == "^":
            self._next()
            power = self._argument() if self.peek() != "-" else self._exponent()
            if power == Tree("neg", (number(1),)):
                name, power = INVERSES.get(name, ""), None
        if not name:
            raise UnreadError("an inverse")
        tree = Tree(name, (self._operand(angle=name in TRIGONOMETRIC),))
        return tree if power is None else Tree("^", (tree, power))

    def _operand(self, angle: bool = False) -> Tree:
        r"""The argument of a function: a group, or a run of plain factors as in \sin 2x."""
        outer, self._in_angle = self._in_angle, angle
        if self.peek() in ("(", "{", "["):
            tree = self._group()
        else:
            tree = self._power()
            while (token := self.peek()) == "\\pi" or (token.isalpha() and len(token) == 1) or token[1:] in _GREEK:
                tree = self._beside(tree, self._power())
            if self.peek() in ("(", "{", "["):
                raise UnreadError("an argument that may go on")
        self._in_angle = outer
        return tree
