"""Watching attention while it is used: hooks on every layer that looks at the source, and nothing else.

The model computes the same with and without a recorder; what is kept are the very weights it multiplied with.
"""

from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attentio.attention import Attended
from attentio.model.decoder import Decoder
from attentio.search.hypothesis import Hypothesis


class AttentionRecorder:
    """While active, keeps the weights of each decoding step of each attention layer under the layer's name.

    `steps[layer][t]` is (B, H, 1, S), B the rows that were in the batch at step t; in training all steps may come at
    once, (B, H, T, S). `log_steps` is the same of the distribution that hard kinds chose from, empty for the others.
    """

    def __init__(self, decoder: Decoder[Any]) -> None:
        self.layers = decoder.cross_attention()
        self.steps: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        self.log_steps: dict[str, list[Tensor]] = {name: [] for name in self.layers}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in self.layers.items():

            def keep(_module: nn.Module, _inputs: Any, attended: Attended, *, name: str = name) -> None:
                assert attended.weights is not None, "they were asked for"
                self.steps[name].append(attended.weights)
                if attended.log_weights is not None:
                    self.log_steps[name].append(attended.log_weights)

            self._handles.append(module.register_forward_pre_hook(_ask_for_weights, with_kwargs=True))
            self._handles.append(module.register_forward_hook(keep))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def layers_weights(self) -> list[Tensor]:
        """(B, H, T, S) of each layer: what was seen of a whole target, at once or step by step."""
        return [torch.cat(steps, dim=2) for steps in self.steps.values()]

    def layers_log_weights(self) -> list[Tensor]:
        """(B, H, T, S) of each layer of a hard kind: the distribution that was chosen from; empty for other kinds."""
        return [torch.cat(steps, dim=2) for steps in self.log_steps.values() if steps]

    def clear(self) -> None:
        """Forgets the steps so far: the next search begins at step 0."""
        for steps in (*self.steps.values(), *self.log_steps.values()):
            steps.clear()

    def weights(self, hypothesis: Hypothesis, source_length: int) -> dict[str, NDArray[np.float32]]:
        """Layer -> (H, T, S) of one hypothesis of the search just watched, without padding."""
        return {
            name: np.stack(
                [steps[t][row, :, 0, :source_length].float().cpu().numpy() for t, row in enumerate(hypothesis.rows)],
                axis=1,
            )
            for name, steps in self.steps.items()
        }


def _ask_for_weights(
    _module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """In training a kernel without weights might run; in evaluation mode they are always there."""
    return inputs, options | {"need_weights": True}
