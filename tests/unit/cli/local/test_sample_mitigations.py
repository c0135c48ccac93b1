from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.cli.main import main
from tests.jobs import image_job_document, job_document, write_text
from tests.unit.training.runs import train

KEY = "AKIAIOSFODNN7EXAMPLE"
POLICY = """
name: house
prompts:
- {type: Secret, action: Refuse}
- {type: BlockList, words: [quaff], action: Drop}
outputs:
- {type: BlockList, words: [zorkle], action: Mask}
refusal: We do not answer this.
"""
TEMPLATE = "name: story\ninstructions: the quick fox\nform: 'so {prompt}'\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mitigations")
    write_text(folder / "text.txt")
    # Bytes know every text, also placeholders.
    train(folder, job_document(data__tokenizer={"type": "Byte"}))
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "template.yaml").write_text(TEMPLATE)
    return folder


@pytest.fixture
def sampled(base: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def act(*options: str, code: int = 0) -> dict[str, Any]:
        arguments = [
            "sample",
            str(base / "runs" / "tiny"),
            "--device",
            "cpu",
            "--json",
            "--max-tokens",
            "8",
            *options,
        ]
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert KEY not in out + err
        document: dict[str, Any] = json.loads(out)
        return document

    return act


def test_a_refused_prompt_is_told_and_changes_no_other_sample(sampled: Any, base: Path) -> None:
    policy = ["--policy", str(base / "policy.yaml")]
    prompts = ["--prompt", f"my {KEY}", "--prompt", "the ", "--prompt", "a quaff"]
    document = sampled(*policy, *prompts, "--count", "2")
    refused, answered, dropped = document["samples"][:3]
    assert (refused["refused"], refused["text"], refused["prompt"]) == (
        True,
        "We do not answer this.",
        "my [SECRET]",
    )
    assert refused["decisions"]["prompt"]["findings"][0]["spans"] == [[3, 23]]
    assert refused["finished"] is None
    assert (answered["refused"], answered["finished"]) == (False, "MaxTokens")
    assert (dropped["dropped"], dropped["text"]) == (True, None)
    assert document["policy"]["name"] == "house"
    assert len(document["samples"]) == 6
    alone = sampled("--prompt", "", "--prompt", "the ", "--prompt", "", "--count", "2")
    assert [one["text"] for one in alone["samples"]][1::3] == [one["text"] for one in document["samples"]][
        1::3
    ]


def test_a_prompt_goes_into_the_template_and_samples_name_it(sampled: Any, base: Path) -> None:
    template = ["--template", str(base / "template.yaml")]
    document = sampled(*template, "--prompt", "the ", "--prompt", "{prompt} jumps")
    assert document["request"]["prompts"] == [
        "the quick fox\n\nso the ",
        "the quick fox\n\nso {prompt} jumps",
    ]
    assert all(one["template"] == document["template"] for one in document["samples"])
    assert document["template"]["name"] == "story"
    assert len(document["template"]["version"]) == 64
    assert document["policy"] is None
    assert document["samples"][0]["decisions"] == {"prompt": None, "output": None}


def test_people_are_told_what_was_found_without_it(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "sample",
        str(base / "runs" / "tiny"),
        "--device",
        "cpu",
        "--policy",
        str(base / "policy.yaml"),
    ]
    assert main([*arguments, "--prompt", f"my {KEY}"]) == 0
    out, err = capsys.readouterr()
    assert out == "my [SECRET]\nrefused: We do not answer this.\n"
    assert err == "sample 0, prompt: Refuse: Secret (1, Refuse)\n"
    assert main([*arguments, "--prompt", "quaff"]) == 0
    assert capsys.readouterr().out == "[BLOCKED]\ndropped\n"


def test_faults_of_the_files_are_told_before_the_model_is_loaded(sampled: Any, base: Path) -> None:
    wrong = base / "wrong.yaml"
    wrong.write_text("name: p\nprompts:\n- {type: Secret}\n")
    document = sampled("--policy", str(wrong), code=2)
    assert [(one["path"], one["line"]) for one in document["faults"]] == [("prompts[0].action", 3)]
    missing = sampled("--template", str(base / "missing.yaml"), code=2)
    assert missing["error"]["remedy"] == "Give the path of a template file."


def test_runs_of_images_have_neither(
    image_base: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(image_base, image_job_document("GAN"))
    arguments = ["sample", str(image_base / "runs" / "tiny"), "--device", "cpu", "--json"]
    assert main([*arguments, "--policy", str(base / "policy.yaml")]) == 2
    assert "not of texts" in json.loads(capsys.readouterr().out)["error"]["what"]
