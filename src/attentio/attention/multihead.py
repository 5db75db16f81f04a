"""MultiHeadAttention: `Attention` between the projections of a Transformer, in place of `torch.nn.MultiheadAttention`.

It has the arguments, state dict and conventions of torch: True in a mask means "ignore", and sequences come first
unless `batch_first`. Masks are converted here, once. It also works inside the containers of torch, such as
`nn.TransformerEncoder`, in training and evaluation. Two things differ on purpose. Weights are those before dropout.
A query that may attend nowhere gets zeros, where torch gives NaN.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attentio.attention.attention import Attention
from attentio.attention.normalize import Normalizer
from attentio.attention.score import Score
from attentio.attention.tensors import causal, combine, merge_heads, padding
from attentio.attention.window import Window


class MultiHeadAttention(nn.Module):
    """Project queries, keys and values, attend with several heads, project the result (Vaswani 2017, section 3.2.2).

    Arguments are those of `torch.nn.MultiheadAttention`, followed by the axes of `Attention`. With the default score,
    which has no parameters, state dicts go both ways.
    """

    # The containers of torch ask for this before they use kernels of their own, which know nothing of the axes.
    _qkv_same_embed_dim = False

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
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        kdim, vdim = kdim or embed_dim, vdim or embed_dim
        if kdim == vdim == embed_dim:
            self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
            self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        else:
            self.in_proj_weight = None
            self.q_proj_weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
            self.k_proj_weight = nn.Parameter(torch.empty(embed_dim, kdim))
            self.v_proj_weight = nn.Parameter(torch.empty(embed_dim, vdim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim)) if bias else None
        self.bias_k = nn.Parameter(torch.empty(1, 1, embed_dim)) if add_bias_kv else None
        self.bias_v = nn.Parameter(torch.empty(1, 1, embed_dim)) if add_bias_kv else None
        self.attention = Attention(
            embed_dim,
            embed_dim,
            score=score,
            normalize=normalize,
            window=window,
            num_heads=num_heads,
            dropout=dropout,
            backend=backend,
        )
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                nn.init.xavier_normal_(extra)
        if bias:
            nn.init.zeros_(self.out_proj.bias)
        self.to(device=device, dtype=dtype)

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
        if query.is_nested or key.is_nested or value.is_nested:
            return self._forward_nested(query, key, value, key_padding_mask, need_weights, attn_mask, is_causal)
        batched = query.dim() == 3
        if not batched:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)

        real, key_bias = _keep_and_bias("key_padding_mask", key_padding_mask)  # (B, S)
        allowed, bias = _keep_and_bias("attn_mask", attn_mask)
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed.unflatten(0, (-1, self.num_heads))  # (B, H, T, S)
        if bias is not None and bias.dim() == 3:
            bias = bias.unflatten(0, (-1, self.num_heads))
        if key_bias is not None:
            key_bias = key_bias[:, None, None, :]
            bias = key_bias if bias is None else bias + key_bias
        if is_causal:
            allowed = combine(allowed, causal(query.size(1), key.size(1), device=query.device))

        q, k, v = self._project(query, *_without_padding(key, value, real))
        k, v, added = self._with_extra_keys(k, v)
        real, allowed, bias = _widen(real, added, True), _widen(allowed, added, True), _widen(bias, added, 0.0)
        memory = self.attention.prepare(k, v, real)
        attended = self.attention(q, memory, mask=allowed, bias=bias, need_weights=need_weights)

        output = self.out_proj(merge_heads(attended.context))
        weights = attended.weights if need_weights else None
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return output.squeeze(0), None if weights is None else weights.squeeze(0)
        return output if self.batch_first else output.transpose(0, 1), weights

    def _forward_nested(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        need_weights: bool,
        attn_mask: Tensor | None,
        is_causal: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend with nested tensors, which `nn.TransformerEncoder` makes of padding. The output is nested, too."""
        if key_padding_mask is not None or attn_mask is not None or need_weights:
            raise TypeError("nested tensors take no masks and give no weights: pass padded tensors with a mask instead")
        if not (self.batch_first and query.is_nested and key.is_nested and value.is_nested):
            raise TypeError("query, key and value must all be nested, with batch_first = True")
        lengths = torch.tensor([len(row) for row in key.unbind()], device=key.device)
        query_lengths = [len(row) for row in query.unbind()]
        query, key, value = (x.to_padded_tensor(0.0) for x in (query, key, value))
        ignored = ~padding(lengths, key.size(1))
        output, _ = self(query, key, value, key_padding_mask=ignored, need_weights=False, is_causal=is_causal)
        return torch.nested.as_nested_tensor([row[:n] for row, n in zip(output, query_lengths, strict=True)]), None

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = cast("tuple[Tensor, ...]", (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight))
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
        return q, k, v

    def _with_extra_keys(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, int]:
        """Return keys and values (B, S, E) with the learned and the zero key appended, and their number."""
        added = 0
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(k.size(0), 1, -1)], 1)
            v = torch.cat([v, self.bias_v.expand(v.size(0), 1, -1)], 1)
            added += 1
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
            added += 1
        return k, v, added


def _keep_and_bias(name: str, mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return a mask of torch as ours (True = may attend), and the bias that it adds to the scores."""
    if mask is None:
        return None, None
    if mask.dtype == torch.bool:
        return ~mask, None
    if not mask.is_floating_point():
        raise TypeError(f"{name} must be boolean (True = ignore) or floating (added to the scores), not {mask.dtype}")
    forbidden = mask == -torch.inf
    return ~forbidden, mask.masked_fill(forbidden, 0.0)


def _without_padding(key: Tensor, value: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
    # Before the projection: NaN in the padding would make its gradient 0 * NaN.
    if real is None:
        return key, value
    padding = ~real.unsqueeze(-1)
    return key.masked_fill(padding, 0.0), value.masked_fill(padding, 0.0)


def _widen(mask: Tensor | None, added: int, value: float) -> Tensor | None:
    return F.pad(mask, (0, added), value=value) if mask is not None and added else mask
