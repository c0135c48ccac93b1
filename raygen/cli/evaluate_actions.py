"""The actions of `raygen evaluate`, and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from raygen.cli.actions import RUN, actions_of


def add_evaluation_verbs(
    verb: Callable[[str, str], argparse.ArgumentParser],
    job_options: Callable[[argparse.ArgumentParser], None],
    device_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Adds `evaluate` and `compare`.

    Args:
        verb: Adds a verb, given its name and what help says of it.
        job_options: Adds a file and what changes it.
        device_options: Adds the device.
    """
    _add_evaluate_actions(verb("evaluate", "measure how good a run's model is"), job_options, device_options)
    compare = verb("compare", "measure several runs, and which of their differences are real")
    compare.set_defaults(module="raygen.cli.local.evaluate.compare")
    compare.add_argument("runs", metavar="RUN", nargs="+", help="run directories, or checkpoints of them")
    compare.add_argument("--to", metavar="FILE", help="write the comparison, as .md or .html")
    _evaluation_options(compare)
    device_options(compare)


def _evaluation_options(added: argparse.ArgumentParser) -> None:
    """Adds what is measured, of a run."""
    added.add_argument(
        "--extractor",
        metavar="FILE",
        help="network in whose features images are compared (default: the job's), a .safetensors or .onnx file",
    )
    added.add_argument(
        "--samples", type=int, metavar="N", help="images or texts to generate (default: the job's)"
    )
    added.add_argument(
        "--all", action="store_true", help="measure all that can be (default: the job's metrics)"
    )
    added.add_argument(
        "--set",
        dest="overrides",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="change a field of the run's job, for example evaluation.generation.reference=Validation",
    )


def _add_evaluate_actions(
    evaluate: argparse.ArgumentParser,
    job_options: Callable[[argparse.ArgumentParser], None],
    device_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Adds the actions of `evaluate`.

    Args:
        evaluate: The parser of the verb.
        job_options: Adds a file and what changes it.
        device_options: Adds the device.
    """
    evaluate.description = f"{evaluate.description}; `raygen evaluate RUN --help` shows the options of a run"
    action = actions_of(evaluate, "raygen.cli.local.evaluate", metavar="RUN | ACTION")
    run = action(RUN, "measure a run's checkpoint (`run` may be left out)")
    run.add_argument("run", metavar="RUN", help="run directory, or one of its checkpoints")
    run.add_argument("--step", type=int, help="checkpoint to use (default: the best, else the newest)")
    _evaluation_options(run)
    device_options(run)

    extractor = action(
        "train-extractor", "train a small network on a job's labelled images, to compare images by"
    )
    job_options(extractor)
    extractor.add_argument("--to", required=True, metavar="FILE", help="file to write, .safetensors")
    extractor.add_argument("--name", default="classifier", help="what metrics call it (default: classifier)")
    extractor.add_argument("--steps", type=int, default=600, help="batches of 128 images (default: 600)")
    extractor.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same file (default: 0)"
    )
    extractor.set_defaults(module="raygen.cli.local.evaluate.train_extractor")

    judge = action("train-judge", "train a judge of texts that needs no network and no GPU")
    judge.add_argument("--to", required=True, metavar="FILE", help="file to write")
    judge.add_argument("--seed", type=int, default=0, help="the same seed gives the same file (default: 0)")
    judge.set_defaults(module="raygen.cli.local.evaluate.train_judge")
