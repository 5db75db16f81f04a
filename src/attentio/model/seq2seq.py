"""The whole model: an encoder, and a decoder that attends to what the encoder gives."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from attentio.errors import ModelError
from attentio.model.decoder import Decoder, Encoded, within_reach
from attentio.model.fast.linear import Linear
from attentio.model.lexicon import Lexicon
from attentio.runtime.tensors import TorchArrays, arrays_on

RENAMED = {
    ".own.": ".self_attn.",
    ".own_residual.": ".self_residual.",
    ".past.": ".history.",
    ".centre.": ".center.",
}  # parts of names in files of earlier versions


class Seq2Seq(nn.Module):
    """An encoder, and a decoder that attends to what the encoder gives. lexicon: what joins in when it is used."""

    def __init__(self, encoder: nn.Module, decoder: Decoder[Any], lexicon: Lexicon | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.lexicon = lexicon

    def encode(self, source: Tensor, lengths: Tensor) -> Encoded:
        """Return what the decoder starts from, for source tokens (B, S) that end with eos, and lengths (B,)."""
        with within_reach():
            encoded: Encoded = self.encoder(source, lengths)
        if self.lexicon is None or self.training:
            return encoded
        return encoded._replace(lexicon=self.lexicon(source))

    @property
    def arrays(self) -> TorchArrays:
        """What a search does with its tensors."""
        return arrays_on(self.decoder.bias.device)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Tensor:
        """Return logits (B, T, V) for source (B, S), lengths (B,) and target_in (B, T) that starts with bos."""
        return self.decoder(target_in, self.encode(source, lengths))

    def num_parameters(self) -> int:
        """Return the number of trainable numbers. Shared ones count once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def fold(self) -> None:
        """Compute normalized weights (Salimans 2016) once, for a model that learns no more. It computes the same."""
        for module in list(self.modules()):
            if is_parametrized(module):
                remove_parametrizations(module, "weight")

    def pack(self) -> None:
        """Lay weights out as matrix products read them, for a model whose weights change no more."""
        for module in self.modules():
            if isinstance(module, Linear | Decoder):
                module.pack()

    def unique_state_dict(self) -> dict[str, Tensor]:
        """Return all tensors by name. A shared one stands there once, under its first name."""
        unique: dict[int, tuple[str, Tensor]] = {}
        for path, module in self.named_modules(remove_duplicate=False):  # a sharded model has another `state_dict`
            passing = module._non_persistent_buffers_set  # pyright: ignore[reportPrivateUsage]
            held = [*module.named_parameters(recurse=False, remove_duplicate=False)]
            held += [one for one in module.named_buffers(recurse=False) if one[0] not in passing]
            for name, tensor in held:
                unique.setdefault(id(tensor), (f"{path}.{name}".lstrip("."), tensor.detach()))
        return dict(unique.values())

    def load_unique_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the values of `unique_state_dict` of a model of the same shape. Raises ModelError where they differ."""
        tensors = current_tensors(tensors)
        own = self.unique_state_dict()
        if differing := sorted(own.keys() ^ tensors.keys()):
            raise ModelError(f"the weights do not belong to this configuration: {differing[0]} is on one side only.")
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                raise ModelError(
                    f"the weights do not belong to this configuration: {name} is {tuple(tensors[name].shape)} "
                    f"in the file, {tuple(tensor.shape)} in the model."
                )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def current_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a model, which an earlier version may have saved, as today's models have them."""
    found = {current_name(name): tensor for name, tensor in tensors.items()}
    if "lexicon.tokens" in found and "lexicon.after" not in found:  # it knew no order of tokens
        found["lexicon.after"] = torch.zeros_like(found["lexicon.tokens"])
    return found


def current_name(name: str) -> str:
    """Return the name that a parameter has today, for its name in a file of an earlier version."""
    for before, now in RENAMED.items():
        name = name.replace(before, now)
    return name
