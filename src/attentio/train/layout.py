"""How a model lies over the ranks that train it: whole on each of them, or a share on each.

`Layout` is one process, `Replicated` is DistributedDataParallel, `Sharded` is FSDP2. The sums are the same ones, and so
is what a checkpoint holds. So a run may go on with another number of ranks, and with another layout.
"""

import contextlib
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


class Layout:
    """One process, which holds everything."""

    shares = False  # whether a rank holds a share of each weight only

    def wrap(self, step: nn.Module, others: Sequence[nn.Module]) -> nn.Module:
        """Return the module whose backward pass averages gradients over the ranks.

        others: modules that are laid out like it and have no gradient. `step` and they are changed in place.
        """
        del others
        return step

    def adding(self, step: nn.Module) -> AbstractContextManager[object]:
        """Let backward passes of the module that `wrap` gave add up gradients of this rank only."""
        del step
        return contextlib.nullcontext()

    def whole(self, module: nn.Module) -> AbstractContextManager[object]:
        """Let all ranks have the whole weights of a module, to look at, during the block. All must enter it."""
        del module
        return contextlib.nullcontext()

    def own(self, gradient: Tensor) -> Tensor:
        """Return what this rank holds of a gradient. Changing it changes the gradient."""
        return gradient

    def joined_norm(self, own: Tensor) -> Tensor:
        """Return the norm of all gradients, for the norm of what this rank holds of them. All ranks must ask."""
        return own

    def joined(self, tensor: Tensor) -> Tensor:
        """Return the whole of a tensor of the optimizer. All ranks must ask for it."""
        return tensor

    def cut(self, tensor: Tensor, like: Tensor) -> Tensor:
        """Return this rank's share of a tensor that goes with the weight `like`."""
        return tensor.to(like.device)


class Replicated(Layout):
    """Every rank holds everything. Gradients are averaged while the backward pass goes on."""

    def wrap(self, step: nn.Module, others: Sequence[nn.Module]) -> nn.Module:
        return nn.parallel.DistributedDataParallel(step, forward_sync_buffers=False, gradient_as_bucket_view=True)

    def adding(self, step: nn.Module) -> AbstractContextManager[object]:
        return cast(nn.parallel.DistributedDataParallel, step).no_sync()


class Sharded(Layout):
    """Each rank holds a share of every weight, its average and the optimizer's moments (ZeRO, Rajbhandari 2020).

    During an update all ranks have the whole weights, and each gets the gradient of its share.
    """

    shares = True

    def wrap(self, step: nn.Module, others: Sequence[nn.Module]) -> nn.Module:
        from torch.distributed.device_mesh import init_device_mesh  # only here: a second of imports
        from torch.distributed.fsdp import fully_shard

        device = next(step.parameters()).device.type
        mesh = init_device_mesh(device, (dist.get_world_size(),))
        self._wrapped = [fully_shard(module, mesh=mesh) for module in (step, *others)]
        return step

    @contextlib.contextmanager
    def _adding(self, step: "FSDPModule") -> Generator[None]:
        step.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            step.set_requires_gradient_sync(True)

    def adding(self, step: nn.Module) -> AbstractContextManager[object]:
        return self._adding(cast("FSDPModule", step))

    @contextlib.contextmanager
    def whole(self, module: nn.Module) -> Generator[None]:
        """Let all ranks have the whole weights of a module, to look at, during the block. All must enter it."""
        wrapped = next(one for one in self._wrapped if any(part is module for part in cast(nn.Module, one).modules()))
        wrapped.unshard()
        try:
            yield
        finally:
            wrapped.reshard()

    def own(self, gradient: Tensor) -> Tensor:
        from torch.distributed.tensor import DTensor

        return cast(DTensor, gradient).to_local()

    def joined_norm(self, own: Tensor) -> Tensor:
        squares = own.square()
        dist.all_reduce(squares)
        return squares.sqrt()

    def joined(self, tensor: Tensor) -> Tensor:
        return getattr(tensor, "full_tensor", lambda: tensor)()

    def cut(self, tensor: Tensor, like: Tensor) -> Tensor:
        from torch.distributed.tensor import DTensor, distribute_tensor

        held = cast(DTensor, like)
        whole = tensor.to(held.device)
        return distribute_tensor(whole, held.device_mesh, held.placements, src_data_rank=None)
