#!/usr/bin/env bash
# The Inception score of 111 samples in 10 parts has nine parts of 12 and one of 3.
#
# torchmetrics splits by torch.chunk, whose last part is what is left, and all parts count alike in the mean; torch-fidelity, like the score's
# authors, makes parts of 11 and 12. The scores differ by more than their digits suggest.
# Versions: torchmetrics 1.9.0, torch-fidelity 0.4.0, torch 2.13.0.
# Source: not documented; InceptionScore.compute in torchmetrics/image/inception.py, isc_features_to_metric in torch_fidelity/metric_isc.py.
# raygen: makes parts whose sizes differ by one at most (raygen/evaluation/images/probabilities.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages torchmetrics==1.9.0 torch-fidelity==0.4.0 torch==2.13.0 torchvision==0.28.0
look <<'PY'
import warnings

import torch
from torch_fidelity.metric_isc import isc_features_to_metric
from torchmetrics.image.inception import InceptionScore
from verdict import verdict

warnings.simplefilter("ignore")


class Given(torch.nn.Module):
    num_features = 10

    def forward(self, features):
        return features


logits = 2 * torch.randn(111, 10, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
sizes = [len(part) for part in logits.chunk(10)]
metric = InceptionScore(feature=Given(), splits=10)
torch.manual_seed(0)
order = torch.randperm(111)
metric.update(logits[order.argsort()])
torch.manual_seed(0)  # it shuffles by the global generator, which puts the samples back into their order
one = float(metric.compute()[0])
other = isc_features_to_metric(logits, 10, shuffle=False)["inception_score_mean"]
verdict(
    expected="the same score of the same samples in the same order",
    seen=f"torchmetrics {one:.4f} from parts of {sizes[0]} and {sizes[-1]}, torch-fidelity {other:.4f}",
    holds=abs(one / other - 1) > 1e-3 and sizes[-1] == 3,
)
PY
