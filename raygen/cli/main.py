"""The command `raygen`: its verbs, their options, and how errors leave it.

Exit codes: 0 done, 1 the run failed, 2 the input is wrong, 3 stopped and resumable, 4 trained but a gate failed, 130 interrupted by Ctrl-C, 141 nobody
reads what a verb that only prints has to say.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from raygen import __version__
from raygen.cli.data_actions import add_data_actions
from raygen.cli.evaluate_actions import add_evaluation_verbs, with_evaluation
from raygen.cli.interrupts import end_at_once, exit_code
from raygen.cli.output import EXIT_CODES, json_line
from raygen.cli.sample_options import add_sample_options
from raygen.cli.streams import Streams, lasting_streams
from raygen.cli.sweep_actions import add_sweep_actions, with_action
from raygen.errors import RaygenError, ValidationError

LOCAL = frozenset(
    {
        *(
            "completion",
            "compare",
            "data",
            "evaluate",
            "export",
            "leave",
            "plan",
            "prepare",
            "probe",
            "report",
            "sample",
            "sweep",
            "train",
            "validate",
        ),
        "version",
    }
)
"""Verbs that work on this machine; all others talk to a cluster."""
SHOWING = frozenset(
    {
        *("completion", "data inspect", "data preview", "get", "list", "logs", "plan"),
        *("sample", "sweep best", "sweep show", "top", "version"),
    }
)
"""Verbs, or actions of one, that have nothing left to do when nobody reads what they print."""


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options. Each verb's module under raygen.cli has `run(args) -> int`."""
    parser = argparse.ArgumentParser(
        prog="raygen",
        description="Train generative models from one job file.",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"raygen {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, epilog=EXIT_CODES, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        place = "local" if name in LOCAL else "cluster"
        added.set_defaults(module=f"raygen.cli.{place}.{name}")
        return added

    def job_options(added: argparse.ArgumentParser) -> None:
        added.add_argument("job", metavar="JOB", help="job file (YAML or JSON)")
        added.add_argument(
            "--set",
            dest="overrides",
            metavar="PATH=VALUE",
            action="append",
            default=[],
            help="change a field, for example training.seed=3; may be repeated",
        )

    def device_options(added: argparse.ArgumentParser) -> None:
        added.add_argument("--device", default="auto", help="cuda, mps or cpu (default: the first there is)")

    def cores_option(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--cores",
            type=int,
            metavar="N",
            help="cores of this machine to use (default: all, within a container's CPU limit)",
        )

    job_options(verb("validate", "check a job file and print every fault"))

    plan = verb("plan", "what a job will cost: parameters, memory, steps, time")
    job_options(plan)
    device_options(plan)
    prepare = verb("prepare", "prepare a job's data: clean, tokenize or resize, shuffle, write as shards")
    job_options(prepare)
    cores_option(prepare)

    add_data_actions(verb("data", "look at the data of a job or a run"), job_options, device_options)

    train = verb("train", "train here; a run that exists goes on from its newest checkpoint")
    job_options(train)
    device_options(train)
    train.add_argument("--output", metavar="URI", help="folder of all runs (default: the job's, or runs/)")
    train.add_argument("--run", metavar="NAME", help="the run's name; the same name continues the run")
    train.add_argument("--from", dest="parent", metavar="RUN", help="start from the weights of another run")
    train.add_argument("--strict", action="store_true", help="refuse to fit the job's scale to this machine")
    cores_option(train)
    train.add_argument(
        "--distributed", action="store_true", help="train on Ray's workers even if it is only one"
    )
    train.add_argument("--dry-run", action="store_true", help="check job, data and output, but do not train")

    add_sample_options(verb("sample", "generate from a run"), device_options)
    add_evaluation_verbs(verb, job_options, device_options)
    add_sweep_actions(verb("sweep", "try many values of a job's fields, and find the best"), job_options)
    _add_run_verbs(verb)
    submit = verb("submit", "make or change a job or sweep on a cluster; one that was stopped goes on")
    job_options(submit)
    _add_cluster_options(submit)
    submit.add_argument("--dry-run", action="store_true", help="have the cluster check it, and make nothing")
    _add_cluster_verbs(verb)
    _add_administrator_verbs(verb)

    verb("version", "versions of raygen and of what it uses")

    completion = verb("completion", "print a shell's completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _add_run_verbs(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Verbs of a run that is there, and of a pod in which one is."""
    report = verb("report", "write a run's report.html")
    report.add_argument("run", metavar="RUN", help="run directory")

    export = verb("export", "write a run's model in another format")
    export.add_argument("run", metavar="RUN", help="run directory")
    export.add_argument("target", metavar="FOLDER", help="folder to write; must be empty or new")
    export.add_argument("--format", choices=("huggingface",), default="huggingface", help="format to write")
    export.add_argument("--step", type=int, help="checkpoint to use (default: the best, else the newest)")

    leave = verb("leave", "in a pod that is about to go: ask for a checkpoint and wait for it (preStop hook)")
    leave.add_argument("--seconds", type=float, default=25.0, help="longest wait (default: 25)")

    probe = verb("probe", "try storages from here with one small object: list, create, read, delete")
    probe.add_argument("uris", metavar="URI", nargs="*", help="folder: a path or s3://bucket/folder")


def _add_cluster_verbs(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Verbs that talk to a cluster."""

    def of_a_job(name: str, text: str) -> argparse.ArgumentParser:
        added = verb(name, text)
        added.add_argument("name", metavar="NAME", help="the name of the job or sweep")
        added.add_argument(
            "--sweep",
            action="store_true",
            help="the name is a sweep's (default: a job's, or a sweep's where there is no such job)",
        )
        _add_cluster_options(added)
        return added

    listing = verb("list", "list the jobs and sweeps of a cluster")
    _add_cluster_options(listing)
    listing.add_argument("-A", "--all-namespaces", action="store_true", help="jobs of all namespaces")
    of_a_job("get", "how a job or sweep on a cluster is, and why")
    top = verb("top", "what the jobs and sweeps of a cluster use, and how well: GPUs, goodput, cost")
    _add_cluster_options(top)
    top.add_argument("-A", "--all-namespaces", action="store_true", help="jobs of all namespaces")
    top.add_argument("--ended", action="store_true", help="jobs without pods too")
    top.add_argument(
        "--price", type=_price, metavar="PRICE", help="price of one GPU-hour; adds a cost column"
    )
    top.add_argument("--watch", type=_seconds, metavar="SECONDS", help="again and again, with this pause")
    wait = of_a_job("wait", "wait for the end of a job or sweep on a cluster")
    wait.add_argument(
        "--for",
        dest="until",
        metavar="REASON",
        action="append",
        default=[],
        help="or until its status is this, such as Training; may be repeated",
    )
    wait.add_argument("--timeout", type=float, metavar="SECONDS", help="longest wait (default: none)")
    of_a_job("stop", "suspend a job or sweep on a cluster, with checkpoints")
    of_a_job("delete", "delete a job or sweep from a cluster; its directory stays")
    logs = of_a_job("logs", "what a job or sweep on a cluster prints, a job also when its pods are gone")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until it ends")
    logs.add_argument(
        "--attempt",
        type=int,
        metavar="N",
        help="this attempt of the run, 0 for the preparation of its data (default: the newest)",
    )
    logs.add_argument(
        "--rank", type=_rank, default="driver", metavar="N", help="this worker instead of the driver"
    )
    dashboard = of_a_job("dashboard", "open the way to the Ray dashboard of a job or sweep on a cluster")
    dashboard.add_argument("--port", type=int, default=0, help="port of this machine (default: a free one)")


def _add_administrator_verbs(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Verbs of those who look after a cluster."""
    doctor = verb("doctor", "what keeps jobs from running on a cluster, and what to do about it")
    _add_cluster_options(doctor)
    doctor.add_argument("--runtime", default="default", help="RaygenRuntime of the jobs (default: default)")
    doctor.add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="this check alone; may be repeated"
    )
    doctor.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="longest wait for faults to go (default: 0)",
    )
    doctor.add_argument(
        "--probe",
        action="store_true",
        help="try image and storage from inside the cluster too, by a pod that is deleted again",
    )
    doctor.add_argument(
        "--timeout",
        type=_seconds,
        default=180.0,
        metavar="SECONDS",
        help="longest wait for the pod of --probe (default: 180)",
    )

    operator = verb("operator", "look after the jobs of a cluster")
    _add_connection_options(operator)
    operator.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        dest="namespaces",
        metavar="NAMESPACE",
        help="look after the jobs of this one; may be repeated (default: all)",
    )
    operator.add_argument(
        "--workers", type=int, default=4, help="jobs worked on at the same time (default: 4)"
    )
    operator.add_argument(
        "--lease-namespace",
        metavar="NAME",
        help="elect one of several operators by a Lease there (default: alone)",
    )
    operator.add_argument(
        "--lease-name",
        metavar="NAME",
        default="raygen-operator",
        help="name of the Lease; operators that share one look after the same jobs (default: raygen-operator)",
    )
    operator.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="the log as lines for people or as JSON objects (default: text)",
    )
    operator.add_argument(
        "--health-port", type=int, default=8081, help="port of /livez and /readyz (default: 8081)"
    )


def _price(text: str) -> float:
    return _at_least(text, 0.0, "an amount, such as 2.50")


def _seconds(text: str) -> float:
    return _at_least(text, 0.2, "seconds, at least 0.2")


def _at_least(text: str, least: float, words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be {words}")
    return value


def _rank(text: str) -> str:
    if text != "driver" and not text.isdecimal():
        raise argparse.ArgumentTypeError("must be a worker's rank, such as 0, or driver")
    return text


def _add_cluster_options(added: argparse.ArgumentParser) -> None:
    _add_connection_options(added)
    added.add_argument("-n", "--namespace", help="namespace (default: the context's)")


def _add_connection_options(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--kubeconfig", metavar="FILE", help="default: KUBECONFIG, ~/.kube/config, or the pod's own"
    )
    added.add_argument("--context", help="context of the kubeconfig (default: the current one)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: Without the program's name; default: those of this process.

    Returns:
        The exit code.

    Raises:
        SystemExit: The command line asks for help or the version, or is wrong.
    """
    with lasting_streams() as streams:
        try:
            args = build_parser().parse_args(
                with_evaluation(with_action(sys.argv[1:] if arguments is None else arguments))
            )
        except SystemExit as end:
            # Help and the version, which were all that was asked for, or a fault in the arguments.
            code = end.code if isinstance(end.code, int) else 0
            raise SystemExit(streams.code(code, shows=True)) from None
        named = " ".join([args.verb, *filter(None, [getattr(args, "action", None)])])
        streams.out.raises = named in SHOWING
        return streams.code(_run(args, named, streams), shows=named in SHOWING)


def _run(args: argparse.Namespace, named: str, streams: Streams) -> int:
    """Runs a verb, `named` with its action; returns its exit code."""
    try:
        with end_at_once(named):
            code: int = import_module(args.module).run(args)
            sys.stdout.flush()
    except RaygenError as error:
        _print_error(error, as_json=args.json)
        return error.exit_code
    except KeyboardInterrupt:
        # Asked twice: a run goes on from its newest checkpoint.
        print("interrupted", file=sys.stderr)
        return exit_code(named)
    except OSError as error:
        if error is not streams.out.lost:
            raise
        # Nothing is left to do; `Streams.code` says how it ends.
        return 0
    return code


def _print_error(error: RaygenError, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, object] = {
            "error": {
                "type": type(error).__name__,
                "what": error.what,
                "where": error.where,
                "remedy": error.remedy,
            }
        }
        if isinstance(error, ValidationError):
            document["faults"] = [fault.to_json() for fault in error.faults]
        # Whatever becomes of stdout, the error decides the exit code.
        with suppress(OSError):
            print(json_line(document))
        return
    print(f"error: {error}", file=sys.stderr)
