"""Requests are counted by names that are ours, by all threads together."""

import threading

from eucabox.events.request_counts import MOST_TABLES, RequestCounts, count_below


def test_requests_are_counted_with_their_seconds() -> None:
    counts = RequestCounts()
    counts.names = {("ec2", "RunInstances")}
    for seconds in (0.0005, 0.003, 60.0):
        counts.count("ec2", "RunInstances", "ok", seconds)
    counts.count("ec2", "RunInstances", "InstanceLimitExceeded", 0.02)
    counts.count("s3", "", "SignatureDoesNotMatch", 0.02)
    counted = counts.sum_up()
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
    counted = counts.sum_up()
    assert {labels: sum(row[1:]) for labels, row in counted.items()} == {
        ("ec2", "other", "other"): 1000, ("ec2", "RunInstances", "other"): 1000,
    }  # fmt: skip


def test_no_count_of_a_thread_is_lost_with_it_and_none_of_its_tables_stays() -> None:
    counts = RequestCounts()

    def work() -> None:
        for _ in range(100):
            counts.count("s3", "", "ok", 0.001)

    for _ in range(5):
        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(counts._tables) <= MOST_TABLES + 40
    assert sum(counts.sum_up()["s3", "", "ok"][1:]) == 5 * 40 * 100
    assert counts._tables == [] or counts._tables[0][0] is threading.current_thread()
    assert sum(counts.sum_up()["s3", "", "ok"][1:]) == 5 * 40 * 100
