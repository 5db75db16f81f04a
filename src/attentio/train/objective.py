"""What training minimises."""

from torch import Tensor
from torch.nn import functional as F

from attentio.data.batch import Batch
from attentio.model.seq2seq import Seq2Seq

PAD_ID = 0


def cross_entropy(model: Seq2Seq, batch: Batch, *, label_smoothing: float) -> Tensor:
    """Mean negative log-likelihood per real target token, in nats; padding is neither scored nor even projected.

    With label smoothing e the target distribution is (1 - e) one-hot + e uniform (Szegedy 2016, section 7).
    """
    features = model.decoder.features(batch.target_in, model.encode(batch.source, batch.source_lengths))
    real = (batch.target_out != PAD_ID).flatten().nonzero()[:, 0]
    logits = model.decoder.project(features.flatten(0, 1).index_select(0, real))  # (N, V)
    return F.cross_entropy(logits.float(), batch.target_out.flatten()[real], label_smoothing=label_smoothing)
