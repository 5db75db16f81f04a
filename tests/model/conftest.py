"""A small model of every kind of recurrent decoder; the sizes share no factor, so no swapped axis passes by luck."""

from collections.abc import Callable

import pytest
import torch

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig

SOURCE_VOCAB, TARGET_VOCAB = 11, 13

Build = Callable[..., Seq2Seq]


@pytest.fixture
def build() -> Build:
    """Builds a model in evaluation mode; keyword arguments are settings of the model, or of the attention."""

    def make(*, heads: int = 1, **settings: object) -> Seq2Seq:
        torch.manual_seed(3)
        sizes: dict[str, object] = {"embedding_size": 5, "hidden_size": 6, "dropout": 0.0}
        kind = {name: settings.pop(name) for name in ("score", "normalize", "window") if name in settings}
        model = RNNConfig.model_validate(sizes | settings)
        attention = AttentionConfig.model_validate({"num_heads": heads} | kind)
        return build_model(model, attention, SOURCE_VOCAB, TARGET_VOCAB).eval()

    return make
