"""/metrics: what it counts over a whole cloud, and who may read it."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client, TestResponse

from eucabox.cloud import Cloud
from eucabox.config import CloudSection, Config, ConsoleSection, NodeSection
from eucabox.console.application import create_app
from eucabox.console.site import Console
from eucabox.events.request_counts import REQUESTS
from tests.domains.rows import add_instance

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture(name="whole", scope="module")
def _whole(first_start: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("cloud")
    shutil.copytree(first_start, folder, dirs_exist_ok=True)
    node = NodeSection(virt_type="qemu", cores=8, memory_mb=1024, disk_gb=20)
    cloud = Cloud(Config(cloud=CloudSection(data_dir=folder), node=node))
    yield create_app(cloud)
    cloud.close()


def scrape(app: Console, source: str = "127.0.0.1", host: str = "", **headers: str) -> TestResponse:
    return Client(app, use_cookies=False).get(
        "/metrics",
        base_url=f"http://{host or '127.0.0.1:8888'}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        environ_overrides={"REMOTE_ADDR": source},
    )


def read(app: Console) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(scrape(app).text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_it_says_what_the_cloud_has_and_does(whole: Console) -> None:
    cloud = whole.cloud
    cloud.store.create_bucket("shop", cloud.accounts.ensure_administrator().account_id)
    add_instance(cloud.state, state="running", vcpus=2, memory_mb=256)
    add_instance(cloud.state, state="pending")
    REQUESTS.names = {("ec2", "RunInstances")}
    REQUESTS.count("ec2", "RunInstances", "ok", 0.02)
    scrape(whole)
    found = read(whole)

    def value(name: str, **labels: str) -> float:
        return found[f"eucabox_{name}", frozenset(labels.items())]

    assert value("instances", state="running") == 1
    assert value("instances", state="stopped") == 0
    assert (value("host_vcpus"), value("used_vcpus")) == (8, 3)
    assert value("used_memory_bytes") == 384 * 2**20
    assert value("buckets") == 1
    assert value("queue_length", queue="launches") == 1
    assert "eucabox_free_instances" in {name for name, _ in found}
    assert value("requests_total", service="ec2", action="RunInstances", code="ok") >= 1
    assert value("request_seconds_count", service="ec2", action="RunInstances") >= 1
    assert value("console_requests_total", page="metrics.show", status="200") >= 1
    assert value("lost_events_total") == 0
    assert ("process_resident_memory_bytes", frozenset()) in found


def test_without_a_token_this_machine_alone_reads_it(whole: Console) -> None:
    assert scrape(whole).status_code == 200
    assert scrape(whole, "::1", host="console.localhost:8888").status_code == 200
    assert scrape(whole, "192.0.2.7").status_code == 403
    assert scrape(whole, X_Forwarded_For="192.0.2.7").status_code == 403
    assert scrape(whole, host="rebound.example.com:8888").status_code == 421
    assert scrape(whole, Sec_Fetch_Site="cross-site").status_code == 403


def test_with_a_token_whoever_has_it_reads_it_and_nobody_else(whole: Console) -> None:
    cloud = whole.cloud
    before = cloud.config
    cloud.config = dataclasses.replace(before, console=ConsoleSection(metrics_token=TOKEN))
    try:
        for header in ("", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9"):
            assert scrape(whole, Authorization=header).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert scrape(whole, "192.0.2.7", "192.0.2.9:8888", **right).status_code == 200
        assert scrape(whole, X_Forwarded_For="192.0.2.7", **right).status_code == 200
    finally:
        cloud.config = before
