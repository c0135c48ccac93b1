"""Campaigns as the operator looks after them: a kind whose status has attempts of a shape of its own, figures and a trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from raygen.controller.conditions import moment, stamp
from raygen.controller.logs import JsonFormatter
from raygen.controller.queue import Key
from raygen.controller.reflector import Listener
from raygen.controller.store import place_of
from raygen.kube import Resource
from raygen.kube.bodies import Body, Fields
from raygen.operator.attempts import watches
from raygen.operator.kind import Kind, Span, Tools, Watch
from tests.unit.operator.campaign import model

CAMPAIGNS = Resource.of(model.CAMPAIGNS)


def kept(item: Fields) -> Body:
    return {"metadata": item["metadata"], "status": item.get("status") or {}}


class Campaigns:
    """Looks after Campaigns: says in the status of each that it has ended, and knows the RayJobs of TrainingJobs too.

    Attributes:
        looks: Keys that were looked at.
        told: Names of those whose status was written and told of.
        lines: What the log would say at each look.
        ray_jobs: Names of RayJobs that were seen.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.looks: list[Key] = []
        self.told: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.ray_jobs: list[str] = []

    def listeners(self) -> Mapping[Watch, Listener]:
        return {OWN: self._on_campaign, watches.RAY_JOBS: self._on_ray_job}

    def _on_campaign(self, before: Body | None, after: Body | None) -> None:
        if after is not None:
            self._tools.queue.add(Key(CAMPAIGNS.kind, *place_of(after)))

    def _on_ray_job(self, before: Body | None, after: Body | None) -> None:
        if after is not None:
            self.ray_jobs.append(after["metadata"]["name"])

    def reconcile(self, key: Key) -> None:
        self.looks.append(key)
        record = logging.LogRecord("campaign", logging.INFO, "", 0, "a look", (), None)
        self.lines.append(json.loads(JsonFormatter().format(record)))
        item = self._tools.stores[OWN].get(key.place)
        assert item is not None
        if item["metadata"]["name"] == "odd":
            raise ZeroDivisionError("nobody foresaw this")
        now = moment(item["metadata"]["creationTimestamp"])
        status = {"attempts": {"begun": 5, "ended": 5}, "trials": 3, "completionTime": stamp(now)}
        body = {"metadata": item["metadata"], "status": status}
        self._tools.connection.apply(CAMPAIGNS, *key.place, body, manager="tests", subresource="status")
        self._tools.written(item, status, now)
        self.told.append(item["metadata"]["name"])


class CampaignFigures:
    """Trials that ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._trials = Counter("raygen_campaign_trials", "Trials that ended.", registry=registry)

    def told(self, item: Body, status: Fields, now: datetime) -> None:
        self._trials.inc(status["trials"] - item["status"].get("trials", 0))


class CampaignTrace:
    """A campaign from its making to its end."""

    def told(self, item: Body, status: Fields) -> list[Span]:
        made, ended = moment(item["metadata"]["creationTimestamp"]), moment(status["completionTime"])
        return [Span((f"Campaign {'/'.join(place_of(item))}",), made, ended, {"trials": status["trials"]})]


OWN = Watch(CAMPAIGNS, kept)
KIND = Kind(
    own=OWN,
    watches=(OWN, watches.RAY_JOBS),
    reconciler=Campaigns,
    own_status=dict,
    noun="campaign",
    attempt_of=lambda item: item["status"]["attempts"]["begun"],
    figures=CampaignFigures,
    trace=CampaignTrace,
)
