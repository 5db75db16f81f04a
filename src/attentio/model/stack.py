"""What stands between recurrent layers laid one upon the other, in an encoder and in a decoder alike."""

from torch import Tensor, nn

from attentio.model.dropout import Dropout


class Stacking(nn.Module):
    """x_n = x_{n-1} + dropout(layer_n(norm(x_{n-1}))) above the first layer; x_1 = dropout(layer_1(x_0)).

    `residual` adds the term x_{n-1} (Wu 2016, eqs. 5-6), above the first layer, where the widths of input and output
    always agree. `layer_norm` normalises what each layer above the first reads, and what the top one gives (Ba 2016,
    eq. 3). Ba normalises the sums inside the cell too; here the recurrence stays as it is. `size`: width of an output.
    """

    def __init__(self, num_layers: int, size: int, *, dropout: float, residual: bool, layer_norm: bool) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.residual = residual
        self.layer_norm = layer_norm
        self.norms = nn.ModuleList(nn.LayerNorm(size) if layer_norm else nn.Identity() for _ in range(num_layers))

    def below(self, layer: int, inputs: Tensor) -> Tensor:
        """What layer number `layer`, from 0, reads of its inputs (..., I)."""
        return inputs if layer == 0 else self.norms[layer - 1](inputs)

    def above(self, layer: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """What layer number `layer` hands on, given its inputs (..., I) and outputs (..., H) -> (..., H)."""
        outputs = self.dropout(outputs)
        if self.residual and layer > 0:
            outputs = inputs + outputs
        return self.norms[-1](outputs) if layer == len(self.norms) - 1 else outputs
