"""Token embeddings."""

import torch

from attentio.model.layers import TokenEmbedding


def test_padding_is_zero_and_learns_nothing() -> None:
    torch.manual_seed(0)
    embedding = TokenEmbedding(11, 5, 0.0)
    found = embedding(torch.tensor([[0, 3], [7, 0]]))
    assert found.shape == (2, 2, 5)
    assert not found[0, 0].any()
    assert not found[1, 1].any()
    found.sum().backward()
    assert embedding.table.grad is not None
    assert not embedding.table.grad[0].any()
    assert embedding.table.grad[[3, 7]].all()


def test_rows_have_about_unit_length_at_first() -> None:
    torch.manual_seed(0)
    lengths = TokenEmbedding(500, 101, 0.0).table[1:].norm(dim=-1)
    assert 0.9 < lengths.mean().item() < 1.1


def test_word_dropout_takes_whole_words_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    embedding = TokenEmbedding(11, 5, 0.0, word_dropout=0.25)
    tokens = torch.randint(1, 11, (3, 7000))
    whole = embedding.eval()(tokens)
    torch.testing.assert_close(whole, embedding.table[tokens])
    found = embedding.train()(tokens)
    gone = (found == 0).all(dim=-1)
    assert 0.23 < gone.double().mean().item() < 0.27
    torch.testing.assert_close(found[~gone], whole[~gone] / 0.75)
