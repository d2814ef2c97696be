"""Requests are counted by names that are ours, by all threads together."""

import threading

from eucabox.events.request_counts import RequestCounts, count_below


def test_requests_are_counted_with_their_seconds() -> None:
    counts = RequestCounts()
    counts.names = {("ec2", "RunInstances")}
    for seconds in (0.0005, 0.003, 60.0):
        counts.count("ec2", "RunInstances", "ok", seconds)
    counts.count("ec2", "RunInstances", "InstanceLimitExceeded", 0.02)
    counts.count("s3", "", "SignatureDoesNotMatch", 0.02)
    counted = counts.copy()
    assert counted.keys() == {
        ("ec2", "RunInstances", "ok"), ("ec2", "RunInstances", "InstanceLimitExceeded"),
        ("s3", "", "SignatureDoesNotMatch"),
    }  # fmt: skip
    row = counted["ec2", "RunInstances", "ok"]
    assert row[0] == 0.0005 + 0.003 + 60.0
    below = dict(count_below(row))
    assert (below["0.001"], below["0.005"], below["30.0"], below["+Inf"]) == (1, 2, 2, 3)


def test_what_a_client_makes_up_makes_no_labels() -> None:
    counts = RequestCounts()
    counts.names = {("ec2", "RunInstances")}
    for number in range(1000):
        counts.count("ec2", f"Run{number}", f"Code{number}", 0.1)
        counts.count("ec2", "RunInstances", f"Code{number}", 0.1)
    counted = counts.copy()
    assert {labels: sum(row[1:]) for labels, row in counted.items()} == {
        ("ec2", "other", "other"): 1000, ("ec2", "RunInstances", "other"): 1000,
    }  # fmt: skip


def test_threads_share_a_row_and_count_one_after_the_other() -> None:
    counts = RequestCounts()
    threads = [
        threading.Thread(target=counts.count, args=("s3", "", "ok", 0.001)) for _ in range(8)
    ]
    with counts.lock:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(0.02)
        assert not sum(sum(row) for row in counts.rows.values())
    for thread in threads:
        thread.join()
    assert counts.rows.keys() == {("s3", "", "ok")}
    assert sum(counts.copy()["s3", "", "ok"][1:]) == 8
