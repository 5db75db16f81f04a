"""A training that starts from an existing model takes its weights, vocabulary and cleaners over."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.data.corpus import EncodedCorpus
from attentio.data.prepare import PreparedData
from attentio.data.start import MOST_COPIES, Mixture
from attentio.errors import DataError, ModelError, UsageError
from attentio.evaluation.seen import SeenSentences
from attentio.metrics.quality import corpus_chrf
from attentio.model.families import build_model
from attentio.model.lexicon import MOST
from attentio.search.batched import SearchConfig
from attentio.train.first_model import with_token_rows
from attentio.train.plan import fine_tuning
from attentio.train.run import TrainResult, run_training, train_files
from attentio.train.settings import effective_config
from attentio.translator import Translator


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "new.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(60, 99)), encoding="utf-8")
    return path


def go_on(tiny_run: Path, pairs: Path, out: Path, **train: object) -> TrainResult:
    settings = {"train": {"max_steps": 1, "learning_rate": 1e-9, "average_decay": 0.0, "seed": 5, **train}}
    return train_files(pairs, out, settings={**settings, "data.test": 0}, start_from=tiny_run)


@pytest.mark.slow
def test_weights_and_vocabulary_are_taken_over(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    result = go_on(tiny_run, pairs, tmp_path / "run")
    assert result.steps == 1
    before, after = Bundle.load(tiny_run), Bundle.load(tmp_path / "run")
    for old, new in ((before.source, after.source), (before.target, after.target)):
        assert new.tokenizer.tokens[: old.tokenizer.vocab_size] == old.tokenizer.tokens
        assert (new.cleaner.as_dict(), new.language) == (old.cleaner.as_dict(), old.language)
    assert after.max_length == before.max_length
    for name, weight in before.weights.items():  # one update at next to no rate
        torch.testing.assert_close(after.weights[name][: len(weight)], weight, atol=1e-6, rtol=0)
    again = go_on(tiny_run, pairs, tmp_path / "run")
    assert again.steps == 1  # it was over


@pytest.mark.parametrize("preset", ["cnn-tiny", "rnn-tiny", "transformer-tiny", "notebook"])
def test_new_tokens_leave_the_logits_of_all_others_as_they_are(preset: str) -> None:
    config, sizes, more = effective_config(preset=preset), (37, 41), (43, 53)
    model, larger = (
        build_model(config.model, config.attention, *each, self_attention=config.self_attention).eval()
        for each in (sizes, more)
    )
    weights = with_token_rows(model.unique_state_dict(), more)
    assert sum(len(weights[name]) != len(rows) for name, rows in model.unique_state_dict().items()) >= 3
    with torch.inference_mode():
        larger.load_unique_state_dict(weights)
        generator = torch.Generator().manual_seed(5)
        source, target = (torch.randint(4, size, (3, 7), generator=generator) for size in sizes)
        lengths = torch.tensor([7, 5, 2])
        before, after = (each(source, lengths, target) for each in (model, larger))
    assert after.shape[-1] == 53
    assert torch.equal(after[..., :41], before)
    assert after[..., 41:].amax() <= after[..., :41].amax()  # a new token is not favored
    assert with_token_rows(weights, more).keys() == weights.keys()


def test_a_lexicon_knows_nothing_of_new_tokens() -> None:
    config = effective_config(preset="cnn-tiny", overrides=["model.lexicon=0.4"])
    model = build_model(config.model, config.attention, 37, 41)
    assert model.lexicon is not None
    model.lexicon.learn(*torch.randint(0, 41, (2, 37, MOST)), torch.rand(37, MOST) / MOST)
    larger = build_model(config.model, config.attention, 43, 53)
    assert larger.lexicon is not None
    with torch.no_grad():
        larger.load_unique_state_dict(with_token_rows(model.unique_state_dict(), (43, 53)))
    for (_, grown), (_, held) in zip(larger.lexicon.named_buffers(), model.lexicon.named_buffers(), strict=True):
        assert torch.equal(grown[: 37 * MOST], held)
    assert not larger.lexicon.shares[37 * MOST :].any()


@given(st.integers(1, 400), st.integers(0, 9000), st.floats(0, 0.95), st.integers(0, 3))
def test_earlier_pairs_have_their_share(new: int, earlier: int, share: float, seed: int) -> None:
    mixture = Mixture.of(new, earlier, share, seed)
    assert 1 <= mixture.copies <= MOST_COPIES
    assert len(set(mixture.rows.tolist())) == len(mixture.rows) <= earlier
    assert set(mixture.rows.tolist()) <= set(range(earlier))
    wanted = share / (1 - share) * new
    if 1 <= wanted <= earlier:
        assert len(mixture.rows) == pytest.approx(mixture.copies * wanted, abs=1)
        assert mixture.copies == MOST_COPIES or (mixture.copies + 1) * wanted > earlier  # as many as find company
    elif wanted > earlier:
        assert (mixture.copies, len(mixture.rows)) == (1, earlier)
    else:
        assert (mixture.copies, len(mixture.rows)) == (1, 0)


@pytest.mark.slow
def test_the_corpus_holds_new_pairs_and_earlier_ones(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    go_on(tiny_run, pairs, tmp_path / "run", earlier_share=0.75)
    earlier, data = PreparedData.load(tiny_run / "data"), PreparedData.load(tmp_path / "run" / "data")

    def rows(corpus: EncodedCorpus) -> list[tuple[bytes, bytes]]:
        sides = corpus.source, corpus.target
        return [(*(side[i].astype("int32").tobytes() for side in sides),) for i in range(len(corpus))]  # pyright: ignore[reportReturnType]

    counts, known, new = Counter(rows(data.train)), set(rows(earlier.train)), data.report.train
    mixture = Mixture.of(new, len(earlier.train), 0.75, 5)
    assert data.earlier_pairs == len(mixture.rows) > new
    assert sum(counts.values()) == new * mixture.copies + data.earlier_pairs
    assert sum(count for row, count in counts.items() if row in known) >= data.earlier_pairs
    assert sum(count >= mixture.copies for row, count in counts.items() if row not in known) > 0.5 * new
    assert data.earlier_share == pytest.approx(0.75, abs=0.01)
    assert data.tests["earlier"].sources == earlier.tests["test"].sources
    assert (data.earlier_dev is None) == (earlier.dev is None)


@pytest.mark.slow
def test_what_the_earlier_run_held_out_is_not_trained_on(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    earlier = PreparedData.load(tiny_run / "data")
    sets = [earlier.tests["test"], *filter(None, [earlier.dev])]
    lines = [f"{source} !\t{held.references[0][0]}\n" for held in sets for source in held.sources]
    (tmp_path / "new.tsv").write_text(pairs.read_text(encoding="utf-8") + "".join(lines), encoding="utf-8")
    go_on(tiny_run, tmp_path / "new.tsv", tmp_path / "run", earlier_share=0.0)
    data = PreparedData.load(tmp_path / "run" / "data")
    assert data.report.dropped["in held-out file"] >= len(lines)
    assert any("that of the earlier run included" in note for note in data.report.notes)
    seen = SeenSentences()
    seen.add(data)
    for held in sets:
        assert seen.unseen(held).sources == held.sources


def test_settings_fit_the_new_pairs_however_often_they_stand_in_the_corpus(tiny_run: Path, pairs: Path) -> None:
    given = {"data": {"train": [str(pairs)]}, "train": {"start_from": str(tiny_run)}}
    config = effective_config(settings=given)
    copies = Mixture.of(60, len(PreparedData.load(tiny_run / "data").train), config.train.earlier_share, 0).copies
    assert config.train.epochs == -(-40 // copies)
    assert (config.data.learn_links, config.train.guided_alignment) == (False, 0.2)  # its attention is trained
    alone = effective_config(settings=given | {"train": {"start_from": "small-world"}})
    assert (alone.train.epochs, alone.train.learning_rate) == (40, config.train.learning_rate)
    assert effective_config(settings=given, overrides=["train.earlier_share=0.0"]).train.epochs == 40
    assert effective_config(settings=given, overrides=["train.epochs=3"]).train.epochs == 3
    assert fine_tuning(9000, 1)["epochs"] < fine_tuning(3000, 1)["epochs"] < fine_tuning(300, 1)["epochs"]


@pytest.mark.slow
def test_a_model_alone_is_trained_on_without_earlier_pairs_and_this_is_said(
    tiny_run: Path, pairs: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "alone")
    said: list[str] = []
    settings = {"train": {"max_steps": 1}, "data.test": 0}
    train_files(pairs, tmp_path / "run", settings=settings, start_from=tmp_path / "alone", say=said.append)
    assert sum(line.startswith("no earlier pairs are mixed in") for line in said) == 1
    assert PreparedData.load(tmp_path / "run" / "data").earlier_pairs == 0


@pytest.mark.slow
def test_both_test_sets_are_scored_before_and_after(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = {"train": {"max_steps": 1, "learning_rate": 0.05, "start_from": str(tiny_run), "average_decay": 0.0}}
    data = {"data": {"train": [str(pairs)], "test": 9, "dev": 0}}
    config = effective_config(settings=data | settings)
    facts = run_training(config, tmp_path / "run", say=said.append)["started_from"]
    assert set(facts["tests"]) == {"test", "earlier"}
    for name, folder in (("test", tmp_path / "run"), ("earlier", tiny_run)):
        held = PreparedData.load(folder / "data").tests["test"]
        for when, place in (("before", tiny_run), ("after", tmp_path / "run")):
            outputs = [
                found.text
                for found in Translator.load(place).translate(held.sources, SearchConfig(stop_loops=False), split=False)
            ]
            assert facts["tests"][name][f"chrf_{when}"] == pytest.approx(corpus_chrf(outputs, held.references), abs=0.2)
        assert facts["tests"][name]["chrf_before"] != facts["tests"][name]["chrf_after"]
    assert sum(" before, " in line for line in said) == 2
    again = run_training(config, tmp_path / "run")
    assert again["started_from"] == facts
    scores = tmp_path / "run" / "tests.json"
    scores.write_text(scores.read_text(encoding="utf-8").replace("before", "befpre"), encoding="utf-8")
    altered = run_training(config, tmp_path / "run")["started_from"]["tests"]  # only the first model could say it
    assert [test["chrf_before"] for test in altered.values()] == [None, None]
    assert [test["chrf_after"] for test in altered.values()] == [test["chrf_after"] for test in facts["tests"].values()]


def test_pairs_the_other_way_round_are_refused(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    swapped = [line.split("\t")[::-1] for line in pairs.read_text(encoding="utf-8").splitlines()]
    (tmp_path / "swapped.tsv").write_text("".join("\t".join(pair) + "\n" for pair in swapped), encoding="utf-8")
    with pytest.raises(DataError, match=r"translates en to zh, and these pairs are zh to en.*--swap"):
        go_on(tiny_run, tmp_path / "swapped.tsv", tmp_path / "run")


def test_another_model_is_refused_by_the_name_of_the_setting(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    settings = {"data": {"train": [str(pairs)]}, "train": {"start_from": str(tiny_run)}, "model": {"hidden_size": 99}}
    with pytest.raises(UsageError, match=r"model\.hidden_size is 128 in .* and 99 here"):
        run_training(effective_config(settings=settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="no such folder"):
        train_files(pairs, tmp_path / "run", start_from=tmp_path / "nowhere")
