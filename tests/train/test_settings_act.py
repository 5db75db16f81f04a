"""Every setting acts: the shapes, the logits or the training of a model change with it."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import pytest
import torch

from attentio.attention import NORMALIZERS, SCORES, WINDOWS
from attentio.data.prepare import prepare
from attentio.data.subword_regularization import TokenSplits
from attentio.model.families import build_model
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.train.dev import DevScores
from attentio.train.loop import train
from attentio.train.settings import RunConfig, TrainConfig

BASE: dict[str, Any] = {"embedding_size": 6, "hidden_size": 12, "dropout": 0.25}


def outcome(model: dict[str, Any], attention: dict[str, Any]) -> tuple[dict[str, tuple[int, ...]], torch.Tensor]:
    """Shapes of the parameters and the logits in training and in use, from fixed weights and fixed random numbers."""
    built = build_model(RNNConfig.model_validate(BASE | model), AttentionConfig.model_validate(attention), 11, 13)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    torch.manual_seed(2)
    source = torch.tensor([[5, 9, 4, 7, 6, 3, 8, 10, 5, 4, 9, 2], [3, 8, 10, 6, 3, 5, 7, 2, 0, 0, 0, 0]])
    given = source, torch.tensor([12, 8]), torch.tensor([[1, 7, 5, 12], [1, 4, 3, 0]])
    logits = torch.stack([built.train()(*given), built.eval()(*given)])
    return {name: tuple(tensor.shape) for name, tensor in built.unique_state_dict().items()}, logits.detach()


def acts(model: dict[str, Any], attention: dict[str, Any], than: dict[str, Any] | None = None) -> bool:
    shapes, logits = outcome(model, attention)
    base_shapes, base_logits = outcome(than or {}, {})
    return shapes != base_shapes or not torch.allclose(logits, base_logits, atol=1e-6)


MODEL_CHANGES: dict[str, list[dict[str, Any]]] = {
    "cell": [{"cell": "gru"}],
    "query": [{"query": "previous"}],
    "attention_layer": [{"attention_layer": "bottom"}],
    "input_feeding": [{"input_feeding": True}],
    "embedding_size": [{"embedding_size": 4}],
    "hidden_size": [{"hidden_size": 8}],
    "bidirectional": [{"bidirectional": False}],
    "encoder_layers": [{"encoder_layers": 2}],
    "decoder_layers": [{"decoder_layers": 2}],
    "residual": [{"residual": True}],
    "layer_norm": [{"layer_norm": True}],
    "dropout": [{"dropout": 0.0}, {"dropout": 0.5}],
    "word_dropout": [{"word_dropout": 0.5}],
    "lexical_memory": [{"lexical_memory": False}],
    "lexicon": [{"lexicon": 0.4}],
    "tie_embeddings": [{"tie_embeddings": False}],
}
# Settings that act only beside another.
BESIDE: dict[str, dict[str, Any]] = {
    "residual": {"encoder_layers": 2},
    "attention_layer": {"decoder_layers": 2},
}
ATTENTION_CHANGES: dict[str, list[dict[str, Any]]] = {
    "score": [{"score": name} for name in SCORES if name != AttentionConfig().score],
    "normalize": [{"normalize": name} for name in NORMALIZERS if name != AttentionConfig().normalize],
    "window": [{"window": name} for name in WINDOWS if name != AttentionConfig().window],
    "num_heads": [{"num_heads": 3}],
    "dropout": [{"dropout": 0.5}],
}


def settings_of(section: type[RNNConfig] | type[AttentionConfig] | type[TrainConfig]) -> set[str]:
    """Those with more than one possible value."""
    fields = section.model_fields.items()
    return {name for name, field in fields if len(get_args(field.annotation)) != 1}


def test_all_settings_are_tried() -> None:
    assert settings_of(RNNConfig) == MODEL_CHANGES.keys()
    assert settings_of(AttentionConfig) == ATTENTION_CHANGES.keys()
    assert settings_of(TrainConfig) == TRAIN_CHANGES.keys() | ELSEWHERE.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in MODEL_CHANGES.items() for change in changes], ids=str
)
def test_model_settings_act(name: str, change: dict[str, Any]) -> None:
    beside = BESIDE.get(name, {})
    assert acts(beside | change, {}, than=beside)


@pytest.mark.slow
@pytest.mark.parametrize("change", [change for changes in ATTENTION_CHANGES.values() for change in changes], ids=str)
def test_attention_settings_act(change: dict[str, Any]) -> None:
    assert acts({}, change)


# What a run's weights become, in a few updates, with one setting changed.
TRAIN_CHANGES: dict[str, dict[str, Any]] = {
    "epochs": {"epochs": 1},
    "max_steps": {"max_steps": 5},
    "batch_tokens": {"batch_tokens": 150},
    "batch_sentences": {"batch_sentences": 5},
    "accumulate": {"accumulate": 2},
    "learning_rate": {"learning_rate": 1e-3},
    "warmup_steps": {"warmup_steps": 5},
    "warmup_share": {"warmup_share": 0.9},
    "schedule": {"schedule": "linear"},
    "weight_decay": {"weight_decay": 0.5},
    "label_smoothing": {"label_smoothing": 0.3},
    "subword_regularization": {"subword_regularization": 0.5},
    "guided_alignment": {"guided_alignment": 0.0},
    "coverage_loss": {"coverage_loss": 1.0},
    "consistency": {"consistency": 1.0},
    "reinforce_samples": {"reinforce_samples": 3},
    "entropy_bonus": {"entropy_bonus": 0.5},
    "marginal_top_k": {"marginal_top_k": 2},
    "clip_norm": {"clip_norm": 0.01},
    "average_decay": {"average_decay": 0.0},
    "seed": {"seed": 9},
    "evaluate_every": {"evaluate_every": 2},
    "patience": {"evaluate_every": 1, "patience": 1},
    "max_seconds": {"max_seconds": 1e-9},
    "precision": {"precision": "bf16"},
}
# Settings that act with one kind of attention only.
KIND: dict[str, str] = {
    "reinforce_samples": "hard_reinforce",
    "entropy_bonus": "hard_reinforce",
    "marginal_top_k": "hard_marginal",
}
# Shown to act by a test of their own.
ELSEWHERE = {
    "evaluate_pairs": "the dev set is cut: here",
    "save_every_seconds": "tests/train/test_loop.py: checkpoints come when due",
    "device": "tests/train/test_loop.py: devices",
    "kernels": "tests/train/test_resume.py: it goes on with the products that it began with",
    "min_steps": "tests/train/test_plan.py: a time limit is extended for so many updates",
    "fitted_pairs": "tests/train/test_plan.py: it says what a plan was fitted to",
    "earlier_share": "tests/train/test_start_from.py: the corpus holds new pairs and earlier ones",
    "start_from": "tests/train/test_start_from.py: weights and vocabulary are taken over",
}
TrainOutcome = Callable[[dict[str, Any], str], tuple[Any, dict[str, torch.Tensor], list[int]]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainOutcome:
    """Settings of training, normalizer -> progress, published weights and updates after which dev was scored."""
    folder = tmp_path_factory.mktemp("acts")
    base = {"epochs": 2, "batch_tokens": 400, "warmup_steps": 2, "precision": "fp32", "device": "cpu", "max_steps": 8}
    data_settings = {"train": ["small-world"], "small_world_pairs": 60, "dev": 5, "test": 0}
    config = RunConfig.model_validate({"data": data_settings, "model": {"family": "rnn"} | BASE})
    data = prepare(config.data, folder / "data", seed=1)
    sizes = data.vocab_sizes

    def run(change: dict[str, Any], normalize: str) -> tuple[Any, dict[str, torch.Tensor], list[int]]:
        weights: dict[str, torch.Tensor] = {}
        scored: list[int] = []

        class Watch:
            def update(self, *_: object, **__: object) -> None: ...
            def note(self, text: str) -> None: ...
            def evaluated(self, progress: Any, **_: object) -> None:
                scored.append(progress.step)

        def publish(model: Any, _progress: Any) -> None:
            weights.update({name: tensor.clone() for name, tensor in model.unique_state_dict().items()})

        sections = {
            "train": TrainConfig.model_validate(base | change),
            "attention": AttentionConfig(normalize=normalize),
        }
        changed = config.model_copy(update=sections)
        place = folder / f"run{len(list(folder.iterdir()))}"
        place.mkdir()
        progress = train(
            changed,
            data.train,
            sizes,
            place,
            links=data.train_links,
            splits=(TokenSplits.of(data.source.tokenizer), TokenSplits.of(data.target.tokenizer)),
            evaluate=lambda _: DevScores(0.0, 0.0, float(-len(scored)), 0.0, 1_000),
            publish=publish,
            reporter=Watch(),
        )
        return progress, weights, scored

    return run


@pytest.fixture(scope="module")
def usual(trained: TrainOutcome) -> Callable[[str], Any]:
    """Normalizer -> what comes of the settings as they are, trained once."""
    return cache(lambda normalize: trained({}, normalize))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAIN_CHANGES)
def test_train_settings_act(name: str, trained: TrainOutcome, usual: Callable[[str], Any]) -> None:
    # Published is the first evaluation's model: scored once, at the end, unless the setting says otherwise.
    normalize = KIND.get(name, "softmax")
    progress, weights, scored = usual(normalize)
    other_progress, other_weights, other_scored = trained(TRAIN_CHANGES[name], normalize)
    same = all(torch.equal(weights[key], other_weights[key]) for key in weights)
    assert not same or progress.step != other_progress.step or scored != other_scored


@pytest.mark.slow
@pytest.mark.parametrize("normalize", ["softmax", "hard_reinforce", "hard_marginal"])
def test_the_same_settings_do_the_same(trained: TrainOutcome, normalize: str) -> None:
    (_, first, _), (_, second, _) = trained({}, normalize), trained({}, normalize)
    assert all(torch.equal(first[key], second[key]) for key in first)
