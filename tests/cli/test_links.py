"""Attention against gold links: `evaluate RUN TEST --gold GOLD`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.metrics.alignment import format_links
from attentio.translator import Translator

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]
Links = Sequence[set[tuple[int, int]]]

PAIRS = sample(12, 9)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Words of small-world sentences, English and Chinese, parted by spaces."""
    path = tmp_path / "words.src-tgt"
    lines = (f"{' '.join(pair.source_words)} ||| {' '.join(pair.target_words)}\n" for pair in PAIRS)
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold"
    path.write_text("".join(f"{format_links(pair.links, index=1)}\n" for pair in PAIRS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def back_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run like `tiny_run` in the other direction."""
    from attentio.train.run import run_training
    from attentio.train.settings import effective_config

    settings = {
        "data": {"train": ["small-world"], "small_world_pairs": 300, "swap": True},
        "train": {"max_steps": 5, "evaluate_pairs": 2, "warmup_steps": 2},
    }
    run = tmp_path_factory.mktemp("back") / "run"
    run_training(effective_config(preset="tiny", settings=settings), run)
    return run


def alignment(outcome: Any) -> dict[str, Any]:
    assert outcome.status == 0, outcome.err
    (result,) = json.loads(outcome.out)["tests"].values()
    return result["alignment"]


def weights_between_words(run: Path, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Any]:
    """(T, S) of each pair, merged piece by piece: no piece reaches over a space, and Chinese pieces are characters."""
    traces = Translator.load(run, device="cpu").align([" ".join(s) for s in sources], [" ".join(t) for t in targets])
    found: list[Any] = []
    for trace, source, target in zip(traces, sources, targets, strict=True):
        pieces = trace.weights[trace.layers[-1]].mean(axis=0)
        columns = owners(trace.source, trace.source_spans, source)
        rows = owners(trace.target, trace.target_spans, target)
        matrix = np.zeros((len(target), len(source)))
        for j in range(len(target)):
            of_word = [row for row, owner in enumerate(rows) if owner == j]
            for i in range(len(source)):
                of_other = [column for column, owner in enumerate(columns) if owner == i]
                matrix[j, i] = pieces[np.ix_(of_word, of_other)].sum(axis=1).mean()
        found.append(matrix)
    return found


def owners(text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> list[int]:
    """The word of each piece, -1 for the end of the sentence."""
    place = [n for n, word in enumerate(words) for _ in word]
    return [-1 if start == len(text) else place[len(text[:start].replace(" ", ""))] for start, _ in spans]


def aer(found: Links, sure: Links) -> float:
    both = sum(len(a & b) for a, b in zip(found, sure, strict=True))
    return 1 - 2 * both / sum(len(a) + len(b) for a, b in zip(found, sure, strict=True))


def write(path: Path, links: Links, *, index: int = 0) -> Path:
    path.write_text("".join(f"{format_links(frozenset(row), index=index)}\n" for row in links), encoding="utf-8")
    return path


@pytest.mark.slow
def test_words_are_those_of_the_file(attentio: Command, tiny_run: Path, text: Path, gold: Path) -> None:
    """Each rule against weights merged and links drawn here."""
    matrices = weights_between_words(
        tiny_run, [pair.source_words for pair in PAIRS], [pair.target_words for pair in PAIRS]
    )
    sure = [set(pair.links) for pair in PAIRS]
    best = [{(int(row.argmax()), j) for j, row in enumerate(matrix)} for matrix in matrices]
    expected = {
        "argmax": best,
        "threshold": [{(i, j) for j, i in np.argwhere(matrix >= 0.2)} for matrix in matrices],
        "intersection": [
            {(i, j) for i, j in row if matrix[:, i].argmax() == j} for row, matrix in zip(best, matrices, strict=True)
        ],
    }
    arguments = ["evaluate", tiny_run, text, "--gold", gold, "--gold-index", 1, "--json"]
    for rule, links in expected.items():
        found = alignment(attentio(*arguments, "--link-rule", rule))
        assert found["links"] == sum(map(len, links)), rule
        assert found["error_rate"] == pytest.approx(aer(links, sure)), rule
        assert found["method"].startswith(rule)
    assert alignment(attentio(*arguments)) == alignment(attentio(*arguments, "--link-rule", "argmax"))
    high = alignment(attentio(*arguments, "--link-rule", "threshold", "--threshold", 0.5))
    assert high["links"] == sum(int((matrix >= 0.5).sum()) for matrix in matrices)
    # What a model draws is scored as perfect.
    own = write(text.with_name("own"), best)
    assert (
        alignment(attentio("evaluate", tiny_run, text, "--gold", own, "--gold-index", 0, "--json"))["error_rate"] == 0
    )


def test_one_line_for_people(attentio: Command, tiny_run: Path, text: Path, gold: Path) -> None:
    with gold.open(encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    first, *rest = lines[0].split()
    gold.write_text("\n".join([" ".join([first.replace("-", "p"), *rest]), *lines[1:]]) + "\n", encoding="utf-8")
    outcome = attentio("evaluate", tiny_run, text, "--gold", gold, "--gold-index", 1)
    sure = sum(len(pair.links) for pair in PAIRS) - 1
    head, line = outcome.lines
    assert head == "words: 12 sentences"
    assert line.startswith("  AER ")
    assert f"attention against {sure:,} sure and 1 only possible links, precision " in line
    assert line.endswith("(argmax, layer 2, mean of heads)")


@pytest.mark.slow
def test_forms_of_the_text(attentio: Command, tiny_run: Path, text: Path, gold: Path, tmp_path: Path) -> None:
    """The same sentences as TSV with a header and a line that is no pair, and with the columns the other way."""
    arguments = ["--gold-index", 1, "--json", "--gold"]
    wanted = alignment(attentio("evaluate", tiny_run, text, *arguments, gold))
    rows = [line.split(" ||| ") for line in text.read_text(encoding="utf-8").split("\n")[:-1]]
    tsv = tmp_path / "words.tsv"
    tsv.write_text("".join(f"{a}\t{b}\n" for a, b in [("source", "target"), *rows]) + "lost\n", encoding="utf-8")
    shifted = tmp_path / "shifted"
    shifted.write_text("\n" + gold.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert alignment(attentio("evaluate", tiny_run, tsv, *arguments, shifted)) == wanted
    swapped = tmp_path / "swapped"
    swapped.write_text("".join(f"{b} ||| {a}\n" for a, b in rows), encoding="utf-8")
    turned = write(tmp_path / "turned", [{(j, i) for i, j in pair.links} for pair in PAIRS], index=1)
    assert alignment(attentio("evaluate", tiny_run, swapped, *arguments, turned, "--swap")) == wanted


def test_a_sentence_without_words_has_no_links(attentio: Command, tiny_run: Path, text: Path, gold: Path) -> None:
    arguments = ["--gold-index", 1, "--json", "--gold", gold]
    wanted = alignment(attentio("evaluate", tiny_run, text, *arguments))
    for path, line in ((text, " ||| 空\n"), (gold, "\n")):
        path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
    assert alignment(attentio("evaluate", tiny_run, text, *arguments)) == wanted | {"sentences": 13}


@pytest.mark.slow
def test_both_directions(
    attentio: Command, refused: Refused, tiny_run: Path, back_run: Path, text: Path, gold: Path
) -> None:
    """Links of both are links of each: against either model's own links they are all right."""
    there = weights_between_words(
        tiny_run, [pair.source_words for pair in PAIRS], [pair.target_words for pair in PAIRS]
    )
    back = weights_between_words(back_run, [pair.target_words for pair in PAIRS], [pair.source_words for pair in PAIRS])
    both = [
        {(int(row.argmax()), j) for j, row in enumerate(a)} & {(i, int(row.argmax())) for i, row in enumerate(b)}
        for a, b in zip(there, back, strict=True)
    ]
    assert sum(map(len, both)) > 3
    arguments = ["evaluate", tiny_run, text, "--gold", gold, "--gold-index", 1]
    found = alignment(attentio(*arguments, "--reverse", back_run, "--json"))
    assert found["links"] == sum(map(len, both))
    assert found["error_rate"] == pytest.approx(aer(both, [set(pair.links) for pair in PAIRS]))
    assert found["method"].endswith("intersected with the other direction")
    line = refused(attentio(*arguments, "--reverse", tiny_run), 2)
    assert "translates en to zh, and --reverse needs zh to en" in line


@pytest.mark.slow
def test_layers_and_heads(attentio: Command, refused: Refused, tiny_run: Path, text: Path, gold: Path) -> None:
    arguments = ["evaluate", tiny_run, text, "--gold", gold, "--gold-index", 1]
    wanted = alignment(attentio(*arguments, "--json"))
    named = alignment(attentio(*arguments, "--json", "--layer", "layer 2", "--head", 0))
    assert named.pop("method") == "argmax, layer 2, head 0"
    assert named.items() <= wanted.items(), "the last layer, of one head"
    assert "Layers: layer 1, layer 2" in refused(attentio(*arguments, "--layer", "encoder"), 2)
    assert "Heads: 0 to 0" in refused(attentio(*arguments, "--head", 1), 2)


@pytest.mark.slow
def test_the_small_world_is_scored_the_same_way(attentio: Command, tiny_run: Path) -> None:
    arguments = ["evaluate", tiny_run, "--resamples", 0, "--json"]
    plain, mutual = alignment(attentio(*arguments)), alignment(attentio(*arguments, "--link-rule", "intersection"))
    assert plain["sure"] == mutual["sure"]
    assert plain["links"] > mutual["links"]
    assert plain["method"] == "argmax, layer 2, mean of heads"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gold", "GOLD"], "counted from 0 or from 1? --gold-index"),
        (["--gold-index", 1], "--gold-index belongs to --gold"),
        (["--link-rule", "threshold"], "no known word links. --link-rule"),
        (["--head", 0], "no known word links"),
        (["--gold", "GOLD", "--gold-index", 1, "--min-chrf", 3], "--gold makes none"),
        (["--gold", "GOLD", "--gold-index", 1, "--threshold", 0.3], "a threshold does nothing to argmax links"),
        (["--gold", "GOLD", "--gold-index", 1, "--link-rule", "threshold", "--threshold", 0], "Take one above 0"),
        (
            ["--gold", "GOLD", "--gold-index", 1, "--link-rule", "viterbi"],
            "Choose argmax, threshold, intersection",
        ),
    ],
)
def test_options_that_make_no_sense(
    attentio: Command, refused: Refused, tiny_run: Path, text: Path, gold: Path, options: list[Any], words: str
) -> None:
    given = [gold if option == "GOLD" else option for option in options]
    assert words in refused(attentio("evaluate", tiny_run, text, *given), 2)


def test_options_about_a_file_that_is_not_given(
    attentio: Command, refused: Refused, tiny_run: Path, gold: Path
) -> None:
    line = refused(attentio("evaluate", tiny_run, "--gold", gold, "--gold-index", 1), 2)
    assert "--gold needs the sentences it links" in line
    assert "--swap is about TEST" in refused(attentio("evaluate", tiny_run, "--swap"), 2)


def test_gold_that_does_not_fit(
    attentio: Command, refused: Refused, tiny_run: Path, text: Path, gold: Path, tmp_path: Path
) -> None:
    lines = gold.read_text(encoding="utf-8").split("\n")[:-1]
    arguments = ["evaluate", tiny_run, text, "--gold-index", 1, "--gold"]
    (tmp_path / "short").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert f"{tmp_path}/short has 11 lines, {text} has 12." in refused(attentio(*arguments, tmp_path / "short"), 3)
    (tmp_path / "far").write_text("\n".join([*lines[:4], "1-1 77p1", *lines[5:]]) + "\n", encoding="utf-8")
    line = refused(attentio(*arguments, tmp_path / "far"), 3)
    assert f"{tmp_path}/far line 5 has the link 77p1, out of range when counted from 1" in line
    line = refused(attentio("evaluate", tiny_run, text, "--gold-index", 0, "--gold", gold), 3)
    assert "out of range when counted from 0" in line, "a gold file counted from 1 is noticed"
    assert "no such file" in refused(attentio(*arguments, tmp_path / "none"), 3)


def test_columns_the_wrong_way_round(attentio: Command, refused: Refused, tiny_run: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped.tsv"
    swapped.write_text("".join(f"{pair.target}\t{pair.source}\n" for pair in PAIRS), encoding="utf-8")
    line = refused(attentio("evaluate", tiny_run, swapped), 3)
    assert "holds zh on the source and en on the target side, but the model translates en to zh. Swapped" in line
    assert attentio("evaluate", tiny_run, swapped, "--swap", "--resamples", 0).status == 0


@pytest.mark.slow
def test_published_gold(attentio: Command, tiny_run: Path, shared_data: Path, tmp_path: Path) -> None:
    """Newswire with words that the model has never seen; the file is Chinese first, the model English to Chinese."""
    for name in ("zhen.src-tgt", "zhen.gold"):
        lines = (shared_data / "align" / name).read_text(encoding="utf-8").split("\n")[:25]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    links = [link for line in (tmp_path / "zhen.gold").read_text().split("\n") for link in line.split()]
    found = alignment(
        attentio(
            *("evaluate", tiny_run, tmp_path / "zhen.src-tgt", "--swap", "--json"),
            *("--gold", tmp_path / "zhen.gold", "--gold-index", 1),
        )
    )
    assert (found["sentences"], found["possible"]) == (25, len(links))
    assert found["sure"] == sum("-" in link for link in links)
    words = sum(
        len(line.split("|||")[0].split()) for line in (tmp_path / "zhen.src-tgt").read_text("utf-8").split("\n")
    )
    assert found["links"] == words, "argmax links each Chinese word once"
    assert 0.5 < found["error_rate"] < 1


@pytest.mark.slow
def test_links_of_training_pairs_guide_attention(attentio: Command, tmp_path: Path) -> None:
    """A language that says everything backwards: its links are found in a few updates when they are told, else not."""
    random = Random(3)
    numbers = [[random.randrange(15) for _ in range(random.randrange(3, 7))] for _ in range(150)]
    text, links = tmp_path / "backwards.tsv", tmp_path / "backwards.links"
    sides = [(" ".join(f"w{n}" for n in row), " ".join(f"v{n}" for n in reversed(row))) for row in numbers]
    text.write_text("".join(f"{source}\t{target}\n" for source, target in sides), encoding="utf-8")
    write(links, [{(i, len(row) - 1 - i) for i in range(len(row))} for row in numbers], index=1)
    found: dict[float, dict[str, Any]] = {}
    for guidance in (0.0, 1.0):
        run = tmp_path / f"run{guidance:g}"
        trained = attentio(
            *("train", text, "--links", links, "-o", "data.links_index=1", "--out", run, "--quiet", "--device", "cpu"),
            *(
                "--preset",
                "rnn-base",
                "--dev",
                0,
                "--test",
                0,
                "-o",
                "data.source_tokenizer=word",
                "-o",
                "data.target_tokenizer=word",
            ),
            *("-o", "model.embedding_size=32", "-o", "model.hidden_size=32", "-o", "train.max_steps=100"),
            *("-o", "train.warmup_steps=5", "-o", "train.learning_rate=0.01", "-o", "train.average_decay=0.5"),
            *("-o", f"train.guided_alignment={guidance}", "-o", "train.batch_tokens=400", "-o", "train.precision=fp32"),
        )
        assert trained.status == 0, trained.err
        found[guidance] = alignment(attentio("evaluate", run, text, "--gold", links, "--gold-index", 1, "--json"))
    assert found[1.0]["error_rate"] < 0.25
    assert found[0.0]["error_rate"] > found[1.0]["error_rate"] + 0.15
    note = f"{links}: {sum(map(len, numbers)):,} word links on "
    report = json.loads((tmp_path / "run1" / "data" / "report.json").read_text(encoding="utf-8"))
    assert any(line.startswith(note) for line in report["notes"])


def test_links_for_training_that_do_not_fit(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    links = tmp_path / "pairs.links"
    links.write_text("0-0\n" * 59, encoding="utf-8")
    arguments = ["train", pairs, "--links", links, "--out", tmp_path / "run", "--quiet"]
    assert f"{links} has 59 lines, {pairs} has 60." in refused(attentio(*arguments), 3)
    links.write_text("0-0\n" * 6 + "9-90\n" + "0-0\n" * 53, encoding="utf-8")
    assert f"{links} line 7 has the link 9-90, out of range when counted from 0" in refused(attentio(*arguments), 3)
    line = refused(attentio("train", "small-world", "--links", links, "--out", tmp_path / "other"), 2)
    assert "0 parallel and 1 links files" in line
    assert not (tmp_path / "other").exists()
    assert "no such file" in refused(attentio("train", pairs, "--links", tmp_path / "x", "--out", tmp_path / "y"), 3)
