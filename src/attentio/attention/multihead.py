"""MultiHeadAttention: `Attention` between the projections of a Transformer, in place of `torch.nn.MultiheadAttention`.

It has the arguments, state dict and conventions of torch: True in a mask means "ignore", and sequences come first
unless `batch_first`. Masks are converted here, once. It also works inside the containers of torch, such as
`nn.TransformerEncoder`, in training and evaluation. Two things differ on purpose. Weights are those before dropout.
A query that may attend nowhere gets zeros, where torch gives NaN.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.attention import Attention
from attentio.attention.normalize import Normalizer
from attentio.attention.score import Score
from attentio.attention.tensors import causal, combine, merge_heads, padding
from attentio.attention.window import Window


class MultiHeadAttention(nn.MultiheadAttention):
    """Project queries, keys and values, attend with several heads, project the result (Vaswani 2017, section 3.2.2).

    Arguments are those of `torch.nn.MultiheadAttention`, followed by the axes of `Attention`. With the default score,
    which has no parameters, state dicts go both ways.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        score: str | Callable[[int, int, int], Score] = "scaled_dot",
        normalize: str | Normalizer = "softmax",
        window: str | Callable[[int, int], Window] = "full",
        backend: str = "auto",
    ) -> None:
        axes: dict[str, Any] = {"score": score, "normalize": normalize, "window": window, "num_heads": num_heads}
        attention = Attention(embed_dim, embed_dim, **axes, dropout=dropout, backend=backend)
        extra_keys = add_bias_kv, add_zero_attn
        super().__init__(embed_dim, num_heads, dropout, bias, *extra_keys, kdim, vdim, batch_first, device, dtype)
        self.attention = attention.to(device=device, dtype=dtype)
        # The containers of torch ask for this before they use kernels of their own, which know nothing of the axes.
        self._qkv_same_embed_dim = False

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output and the weights, (B, T, S) or unaveraged (B, H, T, S), as torch does.

        query (T, B, E), key (S, B, K), value (S, B, V). They may be batch first, without B, or nested and batch first.
        key_padding_mask (B, S), attn_mask (T, S) or (B*H, T, S): boolean, True = ignore. A mask of numbers is added
            to the scores.
        is_causal: forbid looking ahead, whether or not attn_mask does. Raises TypeError for other masks.
        """
        operands = query, key, value
        if any(operand.is_nested for operand in operands):
            if key_padding_mask is not None or attn_mask is not None or need_weights:
                raise TypeError("nested tensors take no masks and give no weights: pass padded tensors with a mask")
            if not (self.batch_first and all(operand.is_nested for operand in operands)):
                raise TypeError("query, key and value must all be nested, with batch_first = True")
            lengths = torch.tensor([len(row) for row in key.unbind()], device=key.device)
            padded = [operand.to_padded_tensor(0.0) for operand in operands]
            ignored = ~padding(lengths, padded[1].size(1))
            output, _ = self(*padded, key_padding_mask=ignored, need_weights=False, is_causal=is_causal)
            rows = [row[: len(own)] for row, own in zip(output, query.unbind(), strict=True)]
            return torch.nested.as_nested_tensor(rows), None
        if query.dim() == 2:
            ignored = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
            batch = 0 if self.batch_first else 1
            operands = (operand.unsqueeze(batch) for operand in operands)
            output, weights = self(*operands, ignored, need_weights, attn_mask, average_attn_weights, is_causal)
            return output.squeeze(batch), None if weights is None else weights.squeeze(0)
        if not self.batch_first:
            query, key, value = (operand.transpose(0, 1) for operand in operands)

        real, key_bias = _keep_and_bias("key_padding_mask", key_padding_mask)  # (B, S)
        allowed, bias = (
            mask.unflatten(0, (-1, self.num_heads)) if mask is not None and mask.dim() == 3 else mask
            for mask in _keep_and_bias("attn_mask", attn_mask)
        )  # (T, S) or (B, H, T, S)
        if key_bias is not None:
            key_bias = key_bias[:, None, None, :]
            bias = key_bias if bias is None else bias + key_bias
        if is_causal:
            allowed = combine(allowed, causal(query.size(1), key.size(1), device=query.device))
        if real is not None:  # before the projection: NaN in the padding would make its gradient 0 * NaN
            key, value = (operand.masked_fill(~real.unsqueeze(-1), 0.0) for operand in (key, value))
        q, k, v = self._project(query, key, value)
        if self.bias_k is not None and self.bias_v is not None:  # the learned key
            k, v = (torch.cat([x, one.expand(x.size(0), 1, -1)], 1) for x, one in ((k, self.bias_k), (v, self.bias_v)))
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
        added = k.size(1) - key.size(1)
        real, allowed, bias = _widen(real, added, True), _widen(allowed, added, True), _widen(bias, added, 0.0)
        memory = self.attention.prepare(k, v, real)
        attended = self.attention(q, memory, mask=allowed, bias=bias, need_weights=need_weights)

        output = self.out_proj(merge_heads(attended.context))
        weights = attended.weights if need_weights else None
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        return output if self.batch_first else output.transpose(0, 1), weights

    def _project(self, *operands: Tensor) -> list[Tensor]:
        packed, bias = cast("tuple[Tensor | None, Tensor | None]", (self.in_proj_weight, self.in_proj_bias))
        separate = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        weights = separate if packed is None else packed.chunk(3)
        biases = (None, None, None) if bias is None else bias.chunk(3)
        return [F.linear(x, w, b) for x, w, b in zip(operands, weights, biases, strict=True)]


def _keep_and_bias(name: str, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return a mask of torch as ours (True = may attend), and the bias that it adds to the scores."""
    if mask is None or mask.dtype == torch.bool:
        return None if mask is None else ~mask, None
    if not mask.is_floating_point():
        raise TypeError(f"{name} must be boolean (True = ignore) or floating (added to the scores), not {mask.dtype}")
    forbidden = mask == -torch.inf
    return ~forbidden, mask.masked_fill(forbidden, 0.0)


def _widen(mask: Tensor | None, added: int, value: float) -> Tensor | None:
    return F.pad(mask, (0, added), value=value) if mask is not None and added else mask
