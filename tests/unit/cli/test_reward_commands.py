"""`halyard reward`: what its commands print, write, refuse, and end with."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.old_runs import write_run
from typer.testing import CliRunner, Result

from halyard.cli.main import app

WEAK = Path(__file__).resolve().parents[2] / "support" / "rewards" / "weak.py"
STRICT = f"{WEAK}:strict"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reward", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    lines = [
        {"id": "sum", "prompt": "2+3?", "answer": "5", "reference": "5", "expected": True, "kind": "sums"},
        {"id": "trap", "prompt": "2+3?", "answer": "6", "reference": "5", "expected": False, "kind": "sums"},
        {"id": "odd", "response": "<b>five</b>\u200b", "reference": "5", "expected": True, "kind": "words"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


class Strict(HTMLParser):
    """Collects tags and text, and counts what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {"href", "src"} & {name for name, _ in attrs}, "the page would load something"
        if tag not in ("meta", "input", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "polyline"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(path: Path) -> Strict:
    parsed = Strict()
    parsed.feed(path.read_text())
    parsed.close()
    assert parsed.open == []
    return parsed


class TestScore:
    def test_one_answer(self) -> None:
        result = call("score", STRICT, "--answer", "5", "--reference", "5")
        assert result.exit_code == 0, result.output
        assert "the same" in result.stdout

    def test_each_task_in_its_way(self) -> None:
        common = ("score", "answer", "--reference", "12 m", "--answer", "1200 cm", "--json")
        rewards = [
            json.loads(call(*common, "--task", task).stdout)["verdicts"][0]["reward"] for task in ("stem", "exact")
        ]
        assert rewards == [1.0, 0.0]

    def test_cases_with_labels(self, file: Path) -> None:
        result = call("score", STRICT, "--file", file)
        assert result.exit_code == 0, result.output
        assert "66.7%  2 of 3 labelled cases" in result.stdout
        assert "false negatives  1" in result.stdout
        assert r"<b>five</b>\u200b" in result.stdout  # what the eye would miss is written out

    def test_json_is_all_there_is(self, file: Path) -> None:
        found = json.loads(call("score", STRICT, "--file", file, "--json", "-p", "scale=0.75").stdout)
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert found["kinds"]["words"]["outcomes"] == {"false negative": 1}
        assert [one["reward"] for one in found["verdicts"]] == [0.75, 0, 0]

    def test_a_page_that_needs_nothing_else(self, file: Path, tmp_path: Path) -> None:
        result = call("score", STRICT, "--file", file, "--html", tmp_path / "page.html")
        assert result.exit_code == 0, result.output
        parsed = page(tmp_path / "page.html")
        assert "b" in parsed.tags
        assert "<b>five</b>U+200B" in parsed.text  # escaped, and visible
        assert parsed.tags.count("script") == 1

    def test_the_gate(self, file: Path) -> None:
        assert call("score", STRICT, "--file", file, "--gate", "0.6").exit_code == 0
        below = call("score", STRICT, "--file", file, "--gate", "0.7")
        assert below.exit_code == 1
        assert "accuracy 66.67% is below the gate of 70.00%" in below.stderr

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("exakt", "--answer", "5"), "there is no reward of this name; did you mean exact?"),
            ((STRICT,), "expected cases in --file, or one by --answer or --response"),
            ((STRICT, "--answer", "5", "-p", "scale"), "expected KEY=VALUE, as in limit=30"),
            ((STRICT, "--answer", "5", "-p", "scael=2"), "has no parameter scael; did you mean scale?"),
            ((STRICT, "--file", "nowhere.jsonl"), "nowhere.jsonl: there is no such file"),
            (("thinking", "--answer", "5", "-p", "votes=0"), "thinking is a rubric, and the parameter votes is wrong"),
            (("quickstart", "--answer", "5"), "has 2 RL stages; name the one whose rewards you mean"),
            (("quickstart:rl", "--answer", "5"), "has no RL stage rl"),
            (("quickstart:verifiable-rl", "--answer", "5", "-p", "a=1"), "leave --parameter out"),
            (
                ("quickstart:mixed-rl", "--answer", "5"),
                "quickstart:mixed-rl asks a judge model, and does not say where it is: add --judge",
            ),
            ((STRICT, "--answer", "5", "--gate", "0.5"), "--gate needs labelled cases"),
        ],
    )
    def test_what_is_wrong_is_one_sentence(self, arguments: tuple[str, ...], sentence: str) -> None:
        result = call("score", *arguments)
        assert result.exit_code == 2, result.output
        assert sentence in result.stderr

    def test_a_file_and_an_answer_are_one_too_many(self, file: Path) -> None:
        result = call("score", STRICT, "--file", file, "--answer", "5")
        assert result.exit_code == 2
        assert "--file has the cases" in result.stderr

    def test_a_whole_recipe(self) -> None:
        found = json.loads(
            call("score", "quickstart:verifiable-rl", "--response", "5?", "--reference", "5", "--json").stdout
        )
        assert found["verdicts"][0]["components"]["format"] == 0.0


class TestProbe:
    def test_a_weak_reward_ends_with_1(self, file: Path, tmp_path: Path) -> None:
        result = call("probe", f"{WEAK}:obeys", "--file", file, "--html", tmp_path / "page.html")
        assert result.exit_code == 1
        assert "What earned" in result.stdout
        assert "full marks" in page(tmp_path / "page.html").text

    def test_a_sound_one_with_0(self, file: Path) -> None:
        result = call("probe", STRICT, "--file", file, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert (found["earned"], found["questions"]) == ([], ["sum"])

    def test_a_file_without_right_answers(self, tmp_path: Path) -> None:
        (tmp_path / "wrong.jsonl").write_text('{"answer": "5", "reference": "6", "expected": false}\n')
        result = call("probe", STRICT, "--file", tmp_path / "wrong.jsonl")
        assert result.exit_code == 2
        assert "has no case whose expected is true" in result.stderr


def test_compare_lists_disagreements(file: Path, tmp_path: Path) -> None:
    result = call("compare", STRICT, f"{WEAK}:constant", "--file", file, "--html", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "33.3%  2 of 3 cases differ" in result.stdout
    assert "trap" in page(tmp_path / "page.html").text
    found = json.loads(call("compare", STRICT, f"{WEAK}:constant", "--file", file, "--json").stdout)
    assert found["accuracy"] == [pytest.approx(2 / 3)] * 2
    assert [one["case"] for one in found["disagreements"]] == ["trap", "odd"]


class TestList:
    def test_all_with_their_parameters(self) -> None:
        result = call("list")
        assert result.exit_code == 0, result.output
        assert "format  shipped" in result.stdout
        said = "        ignore_case (true or false; default false)  whether upper and lower case are the same."
        assert said in result.stdout.splitlines()
        assert result.stdout.count("parameters as those of consistency") == 3  # what all judges take is said once
        assert "Annotated" not in result.stdout

    def test_one_of_a_file(self) -> None:
        found = json.loads(call("list", STRICT, "--json").stdout)
        assert found[0]["summary"] == "The answer is the reference or its box, and nothing else."
        assert found[0]["parameters"][0]["name"] == "scale"


@pytest.mark.parametrize("command", ["list", "score", "probe", "compare", "replay"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Example: " in result.stdout


def test_replay_of_a_run(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "old", [("\\boxed{5}", 0.0), ("\\boxed{6}", 1.0)])
    common = ("old", STRICT, "--runs", tmp_path / "runs")
    result = call("replay", *common, "--html", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "groups whose ranking turns  1 of 1" in result.stdout
    assert "Groups whose ranking turns" in page(tmp_path / "page.html").text
    found = json.loads(call("replay", *common, "--json").stdout)
    assert (found["agreement"], found["mean_reward"], found["groups_turned"]) == (0.0, [0.5, 0.5], 1)
    refused = call("replay", "new", STRICT, "--runs", tmp_path / "runs")
    assert refused.exit_code == 2
    assert "there is no run new" in refused.stderr
