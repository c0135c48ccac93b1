"""A plain Ray Train job: the same size of model as examples/01-gpt-tiny, two workers, data from S3; no raygen.

What Ray's and PyTorch's documentation show, and no more: TorchTrainer, prepare_model, AdamW. It writes when it came
how far, as seconds since 1970, to s3://runs/plain/times.json.
"""

import json
import time

import boto3
import ray
import torch
from ray.train import ScalingConfig, get_context
from ray.train.torch import TorchTrainer, prepare_model
from torch import nn

CONTEXT, BATCH, WIDTH, HEADS, LAYERS = 64, 6, 128, 4, 4


class Gpt(nn.Module):
    """A Transformer of PyTorch's own layers."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, vocabulary)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits, (batch, CONTEXT, vocabulary)."""
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        hidden = self.tokens(tokens) + self.positions(torch.arange(CONTEXT))
        return self.head(self.layers(hidden, mask=mask, is_causal=True))


def work(config: dict) -> None:
    """One step of one worker."""
    times = config | {"worker group": time.time()}
    torch.manual_seed(get_context().get_world_rank())
    body = boto3.client("s3").get_object(Bucket="datasets", Key="tinyshakespeare.txt")["Body"]
    text = body.read().decode()
    letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
    data = torch.tensor([letters[letter] for letter in text])
    starts = torch.randint(len(data) - CONTEXT - 1, (BATCH,)).tolist()
    inputs = torch.stack([data[start : start + CONTEXT] for start in starts])
    targets = torch.stack([data[start + 1 : start + CONTEXT + 1] for start in starts])
    model = prepare_model(Gpt(len(letters)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    times["first batch"] = time.time()
    loss = nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    loss.item()
    times["first step"] = time.time()
    if get_context().get_world_rank() == 0:
        boto3.client("s3").put_object(Bucket="runs", Key="plain/times.json", Body=json.dumps(times))


if __name__ == "__main__":
    began = time.time()
    ray.init()
    TorchTrainer(
        work,
        train_loop_config={"driver": began},
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
    ).fit()
