"""A run that was killed and goes on is the run that was not, bit for bit, with code compiled anew as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cuda.jobs import digits, gpt
from tests.cuda.processes import files, finish, losses, newest, started, wait_for_step

KILLED_AFTER = 80
CASES = {
    "gpt-float32": gpt("gpt-float32"),
    "gpt-bfloat16": gpt("gpt-bfloat16", training__precision="BFloat16"),
    "gpt-muon": gpt(
        "gpt-muon",
        training__precision="BFloat16",
        training__optimizer={"type": "Muon", "learningRate": 1e-3},
        training__compile="Never",
    ),
    "vae": digits("vae", "VAE"),
    "gan": digits("gan", "GAN", training__precision="BFloat16"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_continues_bit_for_bit(tmp_path: Path, device: str, name: str) -> None:
    document = CASES[name]
    steps: int = document["spec"]["training"]["duration"]["steps"]
    options = ("--device", device, "--output", str(tmp_path / "runs"), "--run")
    reference, killed = tmp_path / "runs" / "reference", tmp_path / "runs" / "killed"

    with started("train", document, tmp_path, "first", *options, "reference") as undisturbed:
        with started("train", document, tmp_path, "second", *options, "killed") as process:
            wait_for_step(process, killed, KILLED_AFTER)
            process.kill()
            _, _, errors = finish(process)
        assert KILLED_AFTER <= newest(killed) < steps, errors
        with started("train", document, tmp_path, "third", *options, "killed") as process:
            for one in (process, undisturbed):
                code, _, errors = finish(one)
                assert code == 0, errors
    same(reference, killed, steps)


def same(reference: Path, killed: Path, steps: int) -> None:
    expected = {step: values[0] for step, values in losses(reference).items()}
    found: dict[int, list[Any]] = losses(killed)
    assert list(expected) == list(range(1, steps + 1))
    assert sorted(found) == sorted(expected)
    different = {s: (v, expected[s]) for s, v in found.items() if any(one != expected[s] for one in v)}
    assert not different
    assert files(killed, steps) == files(reference, steps)
