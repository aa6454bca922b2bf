"""The model of scale: the tables of the guide are what is computed, and the computation follows its inputs."""

from __future__ import annotations

import msgspec
import pytest

from scripts.scale.__main__ import DOCUMENT, STREAMS, written
from scripts.scale.model import MOST_MASTERS, StoreCost, cluster_need, measured, need

STORES = ("redis", "postgres")


def test_the_tables_of_the_guide_are_what_the_model_computes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text, "run: python -m scripts.scale --write"
    assert text.count("| 10,000,000 |") == len(STORES) + 1, "one row of each store, and one of clusters"


@pytest.mark.parametrize("store", STORES)
def test_what_was_measured_is_plausible(store: str) -> None:
    cost = measured()[store]
    assert cost.operations_per_run > 1
    assert cost.bytes_per_run > 200 * 5, "at least the text"
    assert cost.connections_per_process > 0


@pytest.mark.parametrize("store", STORES)
def test_more_streams_take_more_of_everything(store: str) -> None:
    cost = measured()[store]
    few, more, most = (need(store, cost, streams) for streams in STREAMS)
    for one, other in ((few, more), (more, most)):
        assert one.servers < other.servers or one.bottleneck == "none"
        for name in ("processes", "tier_cores", "tier_gibibytes", "operations", "megabytes", "connections"):
            assert getattr(one, name) < getattr(other, name)
    assert most.bottleneck != "none"


def test_the_bottleneck_is_what_runs_out_first() -> None:
    cost = StoreCost(
        streams=1,
        operations_per_run=1,
        bytes_per_run=1000,
        milliseconds_per_run=0.1,
        microseconds_per_idle_stream_second=0,
        connections_per_process=1,
        milliseconds_per_process_second=0,
    )
    assert need("postgres", cost, 1_000).bottleneck == "none"
    busy = msgspec.structs.replace(cost, milliseconds_per_run=100)
    assert need("redis", busy, 10_000).bottleneck == "its one thread"
    connected = msgspec.structs.replace(cost, connections_per_process=1_000)
    assert need("postgres", connected, 1_000).bottleneck == "connections"


def test_news_are_what_a_cluster_of_any_size_runs_out_of() -> None:
    cost = measured()["redis"]
    few, more, most = (cluster_need(cost, streams) for streams in STREAMS)
    assert (few.clusters, few.bottleneck) == (1, "none")
    assert few.clusters < more.clusters < most.clusters
    for found in (few, more, most):
        assert found.masters <= MOST_MASTERS
        assert found.news < 0.7
    free = msgspec.structs.replace(cost, milliseconds_per_run=0.0)
    assert cluster_need(free, 1_000_000).clusters > 1, "more masters do not help"
