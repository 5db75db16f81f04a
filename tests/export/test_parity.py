"""The gate: what disagrees with the model is not written, and what a format cannot express is refused by name."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentio.attention.registry import NORMALIZERS, SCORES, WINDOWS
from attentio.bundle import Bundle
from attentio.errors import MissingExtra, QualityGate, UsageError
from attentio.export import FORMATS
from attentio.export.format import Answer, Expresses, Format, Named, check_expressed
from attentio.export.parity import ToExport, agreement, export
from attentio.search.batched import SearchConfig
from attentio.translator import Translator

SENTENCES = ["I love you.", "Where is my book?", "He sleeps."]
REFERENCES = [["我爱你。"], ["我的书在哪儿？"], ["他睡觉。"]]


class Pretended(Format):
    """A file whose runtime is the model itself, and then changes its answers."""

    name, about, runtime, precisions = "pretended", "a test", "nothing", ("fp32", "int8")
    expresses = Expresses(frozenset({"cnn"}), frozenset(SCORES), frozenset(NORMALIZERS), frozenset(WINDOWS))

    def __init__(
        self, change: Callable[[int, Answer], Answer] = lambda _, answer: answer, why: str | None = None
    ) -> None:
        self.change = change
        self.why = why

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        path.write_text(f"{models[0].name} {precision}", encoding="utf-8")
        self.bundle = models[0].bundle

    def unavailable(self) -> str | None:
        return self.why

    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        found = Translator(self.bundle, device="cpu").translate(sentences, SearchConfig(beam), trace=True, split=False)
        answers = [Answer(one.text, one.score, one.trace.weights) for one in found if one.trace is not None]
        return [self.change(number, answer) for number, answer in enumerate(answers)]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load("small-world")


def write(bundle: Bundle, chosen: Format, path: Path, *, sentences: Sequence[str] = SENTENCES, **others: Any) -> Any:
    model = ToExport("it", bundle, sentences, others.pop("references", None))
    return export(chosen, path, [model], **({"precision": "fp32", "beam": 2} | others))


def test_what_agrees_is_written_and_told(bundle: Bundle, tmp_path: Path) -> None:
    report = write(bundle, Pretended(), tmp_path / "it.txt", precision="int8", references=REFERENCES)
    assert (tmp_path / "it.txt").read_text(encoding="utf-8") == "it int8"
    assert [(one.sentences, one.same) for one in report.agreements] == [(3, 3), (3, 3)]
    assert report.agreements[1].chrf == report.agreements[1].chrf_before == 100
    head, *rows = report.lines()
    assert "identical" in head
    assert [row.split("  ")[0] for row in rows] == ["the model in 8 bits", "the model"]
    assert report.as_dict()["bytes"] == 7


CHANGES: dict[str, Callable[[int, Answer], Answer]] = {
    "an answer": lambda number, answer: replace(answer, text="我", score=-9.0) if number == 1 else answer,
    "a weight": lambda _, answer: replace(answer, weights={k: v + 2e-4 for k, v in answer.weights.items()}),
    "a shape": lambda _, answer: replace(answer, weights={k: v[:, :1] for k, v in answer.weights.items()}),
    "a layer": lambda _, answer: replace(answer, weights={"layer 1": answer.weights["layer 1"]}),
    "not a number": lambda _, answer: replace(answer, weights={k: v * np.nan for k, v in answer.weights.items()}),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_what_disagrees_is_not_written(bundle: Bundle, change: str, tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text("before", encoding="utf-8")
    with pytest.raises(QualityGate, match="disagrees with the model") as caught:
        write(bundle, Pretended(CHANGES[change]), tmp_path / "it.txt")
    assert caught.value.code == "E_EXPORT_DISAGREES"
    assert ('"Where is my book?" became "我" instead of' in str(caught.value)) == (change == "an answer")
    assert [path.name for path in tmp_path.iterdir()] == ["it.txt"]
    assert (tmp_path / "it.txt").read_text(encoding="utf-8") == "before"


def test_another_answer_with_the_same_score_is_a_tie(bundle: Bundle, tmp_path: Path) -> None:
    tie = Pretended(lambda number, answer: replace(answer, text="我") if number == 1 else answer)
    (one,) = write(bundle, tie, tmp_path / "it.txt").agreements
    assert (one.same, one.ties) == (2, 1)


def test_8_bits_that_change_too_much_are_refused() -> None:
    one = Answer("a", -1.0, {})
    compared = agreement("x", [one] * 20, [one] * 18 + [Answer("b", -2.0, {})] * 2, ["s"] * 20, [["a"]] * 20)
    assert compared.differing == ("s", "a", "b")
    assert compared.share == 0.9
    assert compared.chrf == 100
    assert compared.chrf_before is not None
    assert compared.chrf_before < 100


def test_without_the_runtime_nothing_is_written_unless_asked(bundle: Bundle, tmp_path: Path) -> None:
    chosen = Pretended(why="it is not installed")
    with pytest.raises(MissingExtra, match="it is not installed"):
        write(bundle, chosen, tmp_path / "it.txt")
    assert list(tmp_path.iterdir()) == []
    report = write(bundle, chosen, tmp_path / "it.txt", unchecked=True)
    assert list(report.lines()) == ["not compared with the model"]
    assert (tmp_path / "it.txt").exists()


@pytest.mark.parametrize(
    ("others", "words"), [({"precision": "fp8"}, "no precision 'fp8'"), ({"sentences": []}, "no sentence to compare")]
)
def test_what_makes_no_sense_is_refused(bundle: Bundle, others: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        write(bundle, Pretended(), tmp_path / "it.txt", **others)


@pytest.mark.slow
def test_a_folder_of_something_else_is_not_replaced(bundle: Bundle, tmp_path: Path) -> None:
    class Folder(Pretended):
        mark = "it"

        def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
            super().write(models, path / "it", precision=precision)

    (tmp_path / "other" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds something else"):
        write(bundle, Folder(), tmp_path / "other")
    for _ in range(2):  # an earlier one of its kind is replaced
        assert write(bundle, Folder(), tmp_path / "fresh").bytes == 7
    (tmp_path / "fresh" / "more").touch()
    with pytest.raises(QualityGate):
        write(bundle, Folder(CHANGES["an answer"]), tmp_path / "fresh")
    assert sorted(path.name for path in (tmp_path / "fresh").iterdir()) == ["it", "more"]
    assert (tmp_path / "other" / "mine").is_dir()


def test_several_models_are_refused_where_one_fits_and_never_share_a_name(bundle: Bundle, tmp_path: Path) -> None:
    models = [ToExport("it", bundle, SENTENCES)] * 2
    with pytest.raises(UsageError, match="holds one model, not 2"):
        export(Pretended(), tmp_path / "it.txt", models, precision="fp32")
    with pytest.raises(UsageError, match="two models would be called 'it'"):
        export(FORMATS["html"], tmp_path / "it.html", models, precision="fp32")


def test_a_setting_is_refused_by_name_with_the_format_that_can(bundle: Bundle) -> None:
    class Narrow(Pretended):
        name = "narrow"
        expresses = Expresses(frozenset({"rnn"}), frozenset({"dot"}), frozenset({"softmax"}), frozenset({"full"}))

    with pytest.raises(UsageError) as caught:
        check_expressed(Narrow(), bundle, [Pretended()])
    assert "narrow cannot express model.family = 'cnn' and attention.score = 'cosine'." in str(caught.value)
    assert "Formats that can: pretended." in str(caught.value)
    check_expressed(Pretended(), bundle, [])


def test_formats_are_known_by_their_names() -> None:
    assert all(name == each.name and each.precisions for name, each in FORMATS.items())


def eight_bits(bundle: Bundle, answers: dict[int, str], path: Path, *, weight_only: bool, references: Any) -> Any:
    """Write a file in 8 bits whose answers are others, but in 32-bit arithmetic what they should be."""

    class Rounds(Pretended):
        exact: list[Answer]

        def run_in_32_bits(self, path: Path, sentences: Sequence[str], *, beam: int) -> list[Answer] | None:
            return self.exact

        def in_8_bits(self, bundle: Bundle) -> Any:
            return bundle.build().eval()

    def change(number: int, answer: Answer) -> Answer:
        return replace(answer, text=answers.get(number, answer.text), score=answer.score - 1)

    rounds, plain = Rounds(change), Pretended()
    rounds.weight_only = weight_only  # type: ignore[misc]
    plain.bundle = bundle
    rounds.exact = plain.run(path, SENTENCES, beam=2)
    return write(bundle, rounds, path, precision="int8", references=references)


@pytest.mark.slow
def test_where_more_than_weights_is_rounded_chrf_alone_counts(bundle: Bundle, tmp_path: Path) -> None:
    other = {0: "我爱你！"}  # as good as the model's own for this reference
    report = eight_bits(bundle, other, tmp_path / "it", weight_only=False, references=[["我爱你！"], *REFERENCES[1:]])
    assert [one.same for one in report.agreements] == [3, 2]
    with pytest.raises(QualityGate, match="8 bits change too much"):
        eight_bits(bundle, other, tmp_path / "more", weight_only=True, references=[["我爱你！"], *REFERENCES[1:]])
    with pytest.raises(QualityGate, match=r"8 bits change too much: 66\.7 % of the answers stay"):
        eight_bits(bundle, other, tmp_path / "more", weight_only=False, references=None)
    with pytest.raises(QualityGate, match="chrF falls by"):
        eight_bits(bundle, {0: "好"}, tmp_path / "more", weight_only=False, references=REFERENCES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it"]
