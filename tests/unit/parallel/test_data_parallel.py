"""Gradients of several workers: their sums, what is sent and when, and the memory that they take."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from raygen.errors import ModelError
from raygen.models.protocol import Alone
from raygen.parallel import collectives
from raygen.parallel.choice import make_strategy
from raygen.parallel.data_parallel import DataParallel
from raygen.parallel.strategy import Spread
from tests.budget import examples
from tests.workers import Crowd, Worker

SHAPES = st.lists(st.integers(1, 5), min_size=0, max_size=3).map(tuple)
TYPES = st.sampled_from([torch.float32, torch.float32, torch.bfloat16])


class Parameters(nn.Module):
    """A network of nothing but parameters; odd ones of four dimensions lie in memory as images do."""

    def __init__(self, kinds: Sequence[tuple[tuple[int, ...], torch.dtype]]) -> None:
        super().__init__()
        self.all = nn.ParameterList(torch.zeros(shape, dtype=dtype) for shape, dtype in kinds)

    def loss(self, used: Sequence[int], factor: int) -> Tensor:
        """A loss whose gradient is, for each parameter in `used`, a multiple of `counting`."""
        return sum(
            (self.all[i].float().flatten() @ counting(self.all[i]) * factor for i in used), torch.zeros(())
        )


def counting(like: Tensor) -> Tensor:
    """1 to 5 and again, so small that BFloat16 holds every sum."""
    return torch.arange(like.numel()) % 5 + 1.0


@dataclass(frozen=True)
class Case:
    """What workers do in a step.

    Attributes:
        kinds: Shapes and types of the parameters.
        passes: For each worker and each of its backward passes, the parameters that the loss has.
        marked: Whether the last pass says that it is.
        bucket: Most bytes of a bucket.
    """

    kinds: list[tuple[tuple[int, ...], torch.dtype]]
    passes: list[list[list[int]]]
    marked: bool
    bucket: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kinds = draw(st.lists(st.tuples(SHAPES, TYPES), min_size=1, max_size=6))
    used = st.lists(st.integers(0, len(kinds) - 1), min_size=1, unique=True)
    # Workers may have different numbers of micro-batches, and parameters that got no gradient.
    workers = draw(st.lists(st.lists(used, min_size=1, max_size=3), min_size=2, max_size=3))
    return Case(kinds, workers, draw(st.booleans()), draw(st.sampled_from([1, 100, 400, 10_000])))


def backward(spread: Spread, losses: Sequence[Tensor], *, marked: bool) -> None:
    for number, loss in enumerate(losses, start=1):
        spread.backward(loss, last=marked and number == len(losses))


@given(cases())
@examples(40)
def test_every_worker_gets_the_sums_of_all_gradients(case: Case) -> None:
    crowd = Crowd(len(case.passes))

    def work(worker: Worker) -> list[list[Tensor | None]]:
        network = Parameters(case.kinds)
        spread = DataParallel(worker, case.bucket).attach(network)
        steps = []
        for step in (1, 2):
            own = case.passes[worker.rank]
            losses = [network.loss(used, step + worker.rank + i) for i, used in enumerate(own)]
            backward(spread, losses, marked=case.marked)
            gradients = spread.reduce()
            steps.append([None if p.grad is None else p.grad.clone() for p in network.all])
            assert [id(g) for g in gradients] == [id(p.grad) for p in network.all if p.grad is not None]
            network.zero_grad(set_to_none=True)
        return steps

    found = crowd.run(work)
    for step in (1, 2):
        for index, (shape, dtype) in enumerate(case.kinds):
            factors = [
                step + rank + i
                for rank, own in enumerate(case.passes)
                for i, used in enumerate(own)
                if index in used
            ]
            expected = counting(torch.empty(shape)).view(shape) * sum(factors)
            for worker in found:
                gradient = worker[step - 1][index]
                if not factors:
                    assert gradient is None
                else:
                    assert gradient is not None
                    assert gradient.dtype == dtype
                    torch.testing.assert_close(gradient.float(), expected, rtol=0, atol=0)
    assert all(sent == crowd.messages[0] for sent in crowd.messages)


def layers(count: int = 4, width: int = 8) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(count)))


def test_sums_start_during_the_last_backward_pass_from_the_last_layer_on() -> None:
    """With a bucket for each layer: when the first layer's gradient is made, the others are on their way."""
    crowd = Crowd(2)

    def work(worker: Worker) -> tuple[int, int]:
        network = layers()
        spread = DataParallel(worker, 1).attach(network)
        sent = []
        network[0].weight.register_hook(lambda _: sent.append(len(crowd.messages[worker.rank])))
        spread.backward(network(torch.ones(2, 8)).sum())
        spread.backward(network(torch.ones(2, 8)).sum(), last=True)
        spread.reduce()
        return sent[0], sent[1]

    assert crowd.run(work) == [(0, 3), (0, 3)]


def test_all_sums_are_started_before_the_last_backward_pass_returns() -> None:
    """Otherwise they could mix with a family's own collectives, in another order on each worker."""
    crowd = Crowd(2)

    def work(worker: Worker) -> float:
        network = layers()
        spread = DataParallel(worker, 1).attach(network)
        # The first worker has no gradient of the last layer, so that none of its buckets is complete.
        made = network[:-1](torch.ones(1, 8)) if worker.rank == 0 else network(torch.ones(1, 8))
        spread.backward(made.sum(), last=True)
        (total,) = worker.sum(torch.ones(()))
        spread.reduce()
        return float(total)

    assert crowd.run(work) == [2, 2]


def test_gradients_are_in_memory_once() -> None:
    """After any backward pass they lie in the buckets, whose size is that of the gradients but for a few numbers."""
    network = layers()
    spread = DataParallel(Crowd(1).workers[0], 1000).attach(network)
    for _ in range(2):
        spread.backward(network(torch.ones(2, 8)).sum())
        storages = {
            p.grad.untyped_storage().data_ptr(): p.grad for p in network.parameters() if p.grad is not None
        }
        assert len(storages) == 2
        held = sum(gradient.untyped_storage().nbytes() for gradient in storages.values())
        assert held == sum(p.nbytes for p in network.parameters()) + 4 * 4
    assert spread.reduce()


def test_gradients_lie_in_memory_as_their_parameters() -> None:
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    assert not network.weight.is_contiguous()
    spread = DataParallel(Crowd(1).workers[0]).attach(network)
    spread.backward(network(torch.ones(1, 3, 5, 5)).sum(), last=True)
    gradients = spread.reduce()
    assert [g.stride() for g in gradients] == [p.stride() for p in network.parameters()]
    assert all(g.data_ptr() % 64 == gradients[1].data_ptr() % 64 for g in gradients)


def test_a_gradient_that_comes_too_late_is_an_error_and_not_a_wrong_sum() -> None:
    network = layers(1)
    spread = DataParallel(Crowd(1).workers[0]).attach(network)
    spread.backward(network(torch.ones(1, 8)).sum(), last=True)
    with pytest.raises(ModelError, match="came after") as caught:
        network(torch.ones(1, 8)).sum().backward()
    assert "last=True" in caught.value.remedy


def test_gradients_that_were_set_by_hand_are_summed_too() -> None:
    def work(worker: Worker) -> list[Tensor]:
        network = layers(2)
        spread = DataParallel(worker).attach(network)
        spread.backward(network(torch.ones(1, 8)).sum())
        for number, parameter in enumerate(network.parameters()):
            parameter.grad = torch.full_like(parameter, worker.rank + number)
        return [gradient.clone() for gradient in spread.reduce()]

    for gradients in Crowd(2).run(work):
        assert [g.unique().tolist() for g in gradients] == [[1], [3]]


def test_frozen_parameters_send_nothing_until_they_thaw() -> None:
    crowd = Crowd(2)

    def work(worker: Worker) -> list[Any]:
        network = layers(2)
        network[0].weight.requires_grad_(False)
        spread = DataParallel(worker).attach(network)
        spread.backward(network(torch.ones(1, 8)).sum(), last=True)
        counts = [len(spread.reduce())]
        network.zero_grad(set_to_none=True)
        network[0].weight.requires_grad_()
        spread.backward((network[0].weight * (worker.rank + 1)).sum(), last=True)
        return [*counts, *(g.unique().tolist() for g in spread.reduce())]

    assert crowd.run(work) == [[1, [3.0]], [1, [3.0]]]
    assert crowd.messages[0] == [64 + 1, 64 + 1, 64 + 1]


def test_a_parameter_that_is_frozen_between_steps_is_summed() -> None:
    def work(worker: Worker) -> list[float]:
        network = layers(1).requires_grad_(False)
        spread = DataParallel(worker).attach(network)
        found = []
        for _ in range(2):
            network.requires_grad_()
            spread.backward(network[0].weight.sum() * (worker.rank + 1), last=True)
            network.requires_grad_(False)
            (gradient,) = spread.reduce()
            found.append(float(gradient[0, 0]))
            network[0].weight.grad = None
        return found

    assert Crowd(2).run(work) == [[3.0, 3.0], [3.0, 3.0]]


def test_a_parameter_that_thaws_may_have_a_gradient_on_one_worker_alone(tmp_path: Path) -> None:
    """Between processes, where messages of different sizes would end both."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    both = [context.Process(target=thaw_on_one, args=(rank, tmp_path / "meet", results)) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    found = dict(results.get() for _ in both)
    assert found == {rank: {0: [8.0, 16.0], 1: [4.0, None], 2: [None, None]} for rank in (0, 1)}


def thaw_on_one(
    rank: int, meet: Path, results: SimpleQueue[tuple[int, dict[int, list[float | None]]]]
) -> None:
    """Two steps in which the thawed second layer is reached by worker 0's samples of the first step alone."""
    wait = timedelta(seconds=30)
    dist.init_process_group("gloo", init_method=meet.as_uri(), rank=rank, world_size=2, timeout=wait)
    one: Any = SimpleNamespace(
        rank=rank, count=2, sum=collectives.sum_tensors, start_sum=collectives.start_sum
    )
    network = layers(3, 2)
    network[1:].requires_grad_(False)
    spread = DataParallel(one).attach(network)
    network[1:].requires_grad_()
    sums: dict[int, list[float | None]] = {0: [], 1: [], 2: []}
    for step in (1, 2):
        reached = [0, 1] if (rank, step) == (0, 1) else [0]
        spread.backward(sum(network[i].weight.sum() * step for i in reached), last=True)
        spread.reduce()
        for i, gradient in enumerate(network[i].weight.grad for i in range(3)):
            sums[i].append(None if gradient is None else float(gradient.sum()))
        network.zero_grad(set_to_none=True)
    results.put((rank, sums))
    dist.destroy_process_group()


def test_the_first_worker_writes_the_state() -> None:
    state = {"x": torch.ones(2)}
    pieces = [DataParallel(w).attach(layers(1)).pieces(state) for w in Crowd(2).workers]
    assert pieces == [state, {}]


def test_one_worker_computes_what_autograd_does() -> None:
    strategy = make_strategy(Alone())
    assert (strategy.data_rank, strategy.data_count) == (0, 1)
    own, plain = layers(), layers()
    spread = strategy.attach(own)
    for last in (False, True):
        spread.backward(own(torch.ones(2, 8)).square().sum(), last=last)
        plain(torch.ones(2, 8)).square().sum().backward()
    gradients = spread.reduce()
    expected = [p.grad for p in plain.parameters()]
    assert all(torch.equal(g, e) for g, e in zip(gradients, expected, strict=True) if e is not None)
    assert torch.equal(
        spread.norm(gradients), nn.utils.get_total_norm([e for e in expected if e is not None])
    )
    assert spread.pieces({"x": gradients[0]})["x"] is gradients[0]
