"""The decoder's layers for training on a processor: the formulas of `network` in fewer operations.

Outside of its matrix products a small decoder spends its time in reading and writing activations, and automatic
differentiation adds an operation, or several, for each of them. Here a layer brings its own derivative, written as
in-place operations. Matrix products go to oneDNN, which uses the widest instructions of every maker's processors; MKL,
which PyTorch asks for Float32, uses half that width on those that are not Intel's.

Gradients of gradients are not available. Evaluation and sampling use PyTorch's own operations.

Shapes: as in `network`; X channels of any kind, O outputs, R rows, N = H + 2K heads; (...) any dimensions.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

if TYPE_CHECKING:

    class Context(FunctionCtx):
        """What a Function keeps from one pass to the other; PyTorch's own type does not say."""

        saved_tensors: tuple[Tensor, ...]
        turns: Turns


@dataclass(frozen=True)
class Turns:
    """Rotary positions as complex numbers.

    A rotary pair, channels c and c + C/2, is one complex number here, and its turn one product. For that a pair must
    lie together, so the channels of queries and keys come in another order, on which their products do not depend.

    Attributes:
        heads: H and K.
        forward: Factors of queries and keys, (T, H + K, C/2).
        back: Factors that turn back.
        order: Where in the rows (E) of the weight each row of the reordered weight comes from.
        inverse: The way back.
    """

    heads: tuple[int, int]
    forward: Tensor
    back: Tensor
    order: Tensor
    inverse: Tensor

    @classmethod
    def new(cls, rotary: tuple[Tensor, Tensor], heads: int, kv_heads: int) -> Turns:
        """From cosines and signed sines as `network.rotary_table` gives them, and H and K."""
        (T, _, C), count = rotary[0].shape, heads + kv_heads
        cos, sin = rotary[0][..., : C // 2], rotary[1][..., C // 2 :]
        forward = torch.complex(cos, sin).expand(T, count, C // 2).contiguous()
        rows = torch.arange(C * (count + kv_heads))
        turned, rest = torch.split(rows, [C * count, C * kv_heads])
        order = torch.cat((turned.view(count, 2, C // 2).mT.flatten(), rest))
        inverse = torch.cat((turned.view(count, C // 2, 2).mT.flatten(), rest))
        return cls((heads, kv_heads), forward, forward.conj().resolve_conj(), order, inverse)


def serves(x: Tensor) -> bool:
    """Whether these layers are for this tensor: Float32 on a processor, to be differentiated, and not inside
    torch.compile, which fuses PyTorch's own operations.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def linear(x: Tensor, weight_OX: Tensor) -> Tensor:
    """(..., X) -> (..., O): products with the rows of a weight."""
    return cast("Tensor", _Linear.apply(x, weight_OX))  # type: ignore[no-untyped-call]


def rms_norm(x: Tensor, weight_X: Tensor, epsilon: float) -> Tensor:
    """(..., X) -> the same shape: divided by the root mean square of the channels, and scaled."""
    return cast("Tensor", _RMSNorm.apply(x, weight_X, epsilon))  # type: ignore[no-untyped-call]


def normed_swiglu(x_BTD: Tensor, norm_D: Tensor, epsilon: float, up_ED: Tensor, down_DF: Tensor) -> Tensor:
    """(B, T, D) -> (B, T, D): RMSNorm, then down(silu(gate) * up).

    Args:
        x_BTD: The residual stream.
        norm_D: Scale of the norm.
        epsilon: Of the norm.
        up_ED: Weights of gate and up, one above the other: E = 2F.
        down_DF: Weight of the product that leads back.
    """
    return cast("Tensor", _NormedSwiGLU.apply(x_BTD, norm_D, epsilon, up_ED, down_DF))  # type: ignore[no-untyped-call]


def normed_heads(
    x_BTD: Tensor,
    norm_D: Tensor,
    epsilon: float,
    qkv_ED: Tensor,
    turns: Turns,
    head_norms: tuple[Tensor, Tensor] | tuple[()] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """RMSNorm, then queries, keys and values, the former two turned by the angles of their positions.

    Args:
        x_BTD: The residual stream.
        norm_D: Scale of its norm.
        epsilon: Of all norms.
        qkv_ED: Weights of queries, keys and values, one above the other: E = NC.
        turns: Of these positions and heads.
        head_norms: Scales of the norms of queries and of keys, (C,) each, where they have norms.

    Returns:
        Queries (B, H, T, C), keys and values (B, K, T, C); channels of queries and keys in the order of `turns`.
    """
    taken_apart = _NormedHeads.apply(x_BTD, norm_D, epsilon, qkv_ED, turns, *head_norms)  # type: ignore[no-untyped-call]
    return cast("tuple[Tensor, Tensor, Tensor]", taken_apart)


def _find_product() -> Callable[[Tensor, Tensor], Tensor] | None:
    """The product x W^T by oneDNN, if this build of PyTorch has it; the operation by which torch.compile replaces
    F.linear. Architectures other than x86 have not been measured.
    """
    operation: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if operation is None or not on_x86 or not built_in:
        return None
    return lambda x, weight_OX: operation.default(x, weight_OX, None, "none", [], "")


_by_onednn = _find_product()


def _product(x: Tensor, weight_OX: Tensor) -> Tensor:
    return F.linear(x, weight_OX) if _by_onednn is None else _by_onednn(x, weight_OX)


def _weight_gradient(dy: Tensor, x: Tensor) -> Tensor:
    """Of a weight (O, X), from (..., O) and (..., X)."""
    dy_RO, x_RX = dy.flatten(0, -2), x.flatten(0, -2)
    if _by_onednn is None:
        return dy_RO.t() @ x_RX
    (rows, outputs), inputs = dy_RO.shape, x_RX.shape[1]
    # oneDNN's first factor is transposed in memory: that of the outputs, or that of the inputs and then the result.
    if rows * outputs <= (rows + outputs) * inputs:
        return _by_onednn(dy_RO.t(), x_RX.t())
    return _by_onednn(x_RX.t(), dy_RO.t()).t().contiguous()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, weight_OX: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight_OX)
        return _product(x, weight_OX)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor]:
        x, weight_OX = ctx.saved_tensors
        return _product(dy, weight_OX.t()), _weight_gradient(dy, x)


def _normalise(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """X / rms(x), and 1 / rms(x) (Zhang & Sennrich 2019, eq. 4)."""
    inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return x * inverse, inverse


def _normalise_backward(
    dy: Tensor, normed: Tensor, inverse: Tensor, weight_X: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of the scale w, for y = n w with n = x / rms(x): dx = (dy w - n mean(dy w n)) / rms(x)."""
    products = dy * normed
    sums = (products @ weight_X).unsqueeze(-1)
    dx = (dy * weight_X).addcmul_(normed, sums, value=-1 / len(weight_X)).mul_(inverse)
    return dx, products.flatten(0, -2).sum(0)


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, weight_X: Tensor, epsilon: float) -> Tensor:
        normed, inverse = _normalise(x, epsilon)
        ctx.save_for_backward(normed, inverse, weight_X)
        return normed * weight_X

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_normalise_backward(dy, *ctx.saved_tensors), None


class _NormedSwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, x_BTD: Tensor, norm_D: Tensor, epsilon: float, up_ED: Tensor, down_DF: Tensor
    ) -> Tensor:
        normed, inverse = _normalise(x_BTD, epsilon)
        scaled = normed * norm_D
        both = _product(scaled, up_ED)
        gate, up = both.chunk(2, dim=-1)
        sigmoid = torch.sigmoid(gate)
        inner = (gate * sigmoid).mul_(up)
        ctx.save_for_backward(normed, inverse, norm_D, scaled, up_ED, both, sigmoid, inner, down_DF)
        return _product(inner, down_DF)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, dy: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
        normed, inverse, norm_D, scaled, up_ED, both, sigmoid, inner, down_DF = ctx.saved_tensors
        d_both = _swiglu_backward(_product(dy, down_DF.t()), both, sigmoid)
        dx, d_norm = _normalise_backward(_product(d_both, up_ED.t()), normed, inverse, norm_D)
        return dx, d_norm, None, _weight_gradient(d_both, scaled), _weight_gradient(dy, inner)


def _swiglu_backward(dy: Tensor, both: Tensor, sigmoid: Tensor) -> Tensor:
    """Gradient of gate and up, beside each other. With s = sigmoid(gate), a = gate s: silu'(gate) = s + a - a s."""
    gate, up = both.chunk(2, dim=-1)
    gradient = torch.empty_like(both)
    d_gate, d_up = gradient.chunk(2, dim=-1)
    silu = gate * sigmoid
    torch.mul(dy, silu, out=d_up)
    slope = silu.addcmul_(silu, sigmoid, value=-1).add_(sigmoid)
    torch.mul(slope.mul_(up), dy, out=d_gate)
    return gradient


class _NormedHeads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        x_BTD: Tensor,
        norm_D: Tensor,
        epsilon: float,
        qkv_ED: Tensor,
        turns: Turns,
        *head_norms: Tensor,
    ) -> tuple[Tensor, ...]:
        (H, K), C = turns.heads, 2 * turns.forward.shape[-1]
        normed, inverse = _normalise(x_BTD, epsilon)
        scaled = normed * norm_D
        weight = qkv_ED.index_select(0, turns.order)
        qkv_BTNC = _product(scaled, weight).view(*x_BTD.shape[:2], -1, C)
        qk = qkv_BTNC[:, :, : H + K]
        kept: tuple[Tensor, ...] = ()
        if head_norms:
            scales = torch.stack(head_norms).index_select(1, turns.order[:C])
            scale = scales.repeat_interleave(torch.tensor(turns.heads), 0)
            qk_normed, qk_inverse = _normalise(qk, epsilon)
            kept, qk = (scale, qk_normed, qk_inverse), qk_normed * scale
        turned = qk.new_empty(qk.shape)
        _multiply(qk, turns.forward, turned)
        ctx.turns = turns
        ctx.save_for_backward(normed, inverse, norm_D, scaled, weight, *kept)
        q, k = torch.split(turned.transpose(1, 2), [H, K], dim=1)
        return q, k, qkv_BTNC[:, :, H + K :].transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Context, dq_BHTC: Tensor, dk_BKTC: Tensor, dv_BKTC: Tensor
    ) -> tuple[Tensor | None, ...]:
        normed, inverse, norm_D, scaled, weight, *kept = ctx.saved_tensors
        turns, (B, _, T, C) = ctx.turns, dq_BHTC.shape
        H, K = turns.heads
        gradient = dq_BHTC.new_empty(B, T, H + 2 * K, C)
        dq, dk, dv = torch.split(gradient, [H, K, K], dim=2)
        _multiply(dq_BHTC.transpose(1, 2), turns.back[:, :H], dq)
        _multiply(dk_BKTC.transpose(1, 2), turns.back[:, H:], dk)
        dv.copy_(dv_BKTC.transpose(1, 2))
        d_head_norms: tuple[Tensor, ...] = ()
        if kept:
            d_scale = _normalise_heads_backward(gradient[:, :, : H + K], *kept)
            d_scale = d_scale.index_select(1, turns.inverse[:C])
            d_head_norms = tuple(part.sum(0) for part in torch.split(d_scale, [H, K]))
        d_qkv = gradient.flatten(2)
        dx, d_norm = _normalise_backward(_product(d_qkv, weight.t()), normed, inverse, norm_D)
        d_weight = _weight_gradient(d_qkv, scaled).index_select(0, turns.inverse)
        return dx, d_norm, None, d_weight, None, *d_head_norms


def _multiply(x_BTHC: Tensor, turns: Tensor, out_BTHC: Tensor) -> None:
    """Products of pairs, as complex numbers, with (T, H, C/2) factors (Su et al. 2021, eq. 34)."""
    # Attention's backward pass lays out its gradients as it likes.
    x_BTHC = x_BTHC if x_BTHC.stride(-1) == 1 else x_BTHC.contiguous()
    x, out = (torch.view_as_complex(torch.unflatten(t, -1, (-1, 2))) for t in (x_BTHC, out_BTHC))
    torch.mul(x, turns, out=out)


def _normalise_heads_backward(
    gradient_BTHC: Tensor, scale_HC: Tensor, normed: Tensor, inverse: Tensor
) -> Tensor:
    """Leads the gradient of all turned heads back through their norms, in place. Returns that of their scales, (H, C)."""
    products = gradient_BTHC * normed
    means = (products * scale_HC).mean(dim=-1, keepdim=True)
    gradient_BTHC.mul_(scale_HC).addcmul_(normed, means, value=-1).mul_(inverse)
    return products.sum((0, 1))
