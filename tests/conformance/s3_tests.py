"""Runs a checkout of ceph/s3-tests against a eucabox of its own and compares with our document.

    python -m tests.conformance.s3_tests CHECKOUT [--python PYTHON] [-k WORDS] [--all]
        [--json FILE] [--part s3|iam]

What fails without a reason in docs/s3-compatibility.md is an error, and so is a reason for what
passes.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import click

from tests.conformance.suite_as_aws import REALM, copy_suite, write_people
from tests.issuer import serving
from tests.live.process import Running, running

DOCUMENT = Path(__file__).parents[2] / "docs" / "s3-compatibility.md"
FILES = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")
PEOPLE_FILES = ("s3tests/functional/test_iam.py", "s3tests/functional/test_sts.py")
# the suite's own default exclusions, and what the suite itself says that AWS does otherwise
EXCLUDED = "not lifecycle_expiration and not cloud_transition and not s3select"
TRUE_OF_AWS = f"{EXCLUDED} and not fails_on_aws"
SECONDS = 90  # for one test
DAY = 10  # seconds, what the suite takes a day of a lifecycle for
KEYS = ("testkey-1", "testkey-2")
EXTRA = f"""[buckets]
access_log_seconds = 5
lifecycle_day_seconds = {DAY}
kms_keys = {", ".join(KEYS)}
[iam]
private_providers = localhost
"""
ALONE = "test_list_buckets_paginated"  # which wants to see no bucket but its own
USERS = {"s3 main": "main", "s3 alt": "alt", "s3 tenant": "tenant", "iam": "iam"}
ROOTS = {"iam root": "root", "iam alt root": "altroot"}
STRANGER = "s3tenant1"  # an account that policies of the suite name and nobody uses
REASON = re.compile(r"^\| `(test_\w+)` \| (.+) \|$", re.MULTILINE)


@dataclass
class Outcome:
    """What became of the tests: names by "passed", "failed", "skipped"."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add what became of other tests."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def write_settings(cloud: Running, file: Path) -> None:
    """Write the suite's configuration with users of this cloud."""
    parser = configparser.RawConfigParser()
    parser["DEFAULT"] = {"host": "127.0.0.1", "port": str(cloud.port), "is_secure": "False"}
    parser["fixtures"] = {"bucket prefix": "s3t-{random}-"}
    for section, user in {**USERS, **ROOTS}.items():
        parser[section] = _section(cloud, user)
    # S3 answers with ARNs, whatever a request called the key
    account = cloud.client("sts").get_caller_identity()["Account"]
    region = cloud.client("ec2").describe_regions()["Regions"][0]["RegionName"]
    arns = [f"arn:aws:kms:{region}:{account}:key/{name}" for name in KEYS]
    cloud.credentials(STRANGER)
    parser["s3 main"]["kms_keyid"], parser["s3 main"]["kms_keyid2"] = arns
    parser["s3 main"]["api_name"] = "eucabox"
    parser["s3 main"]["lc_debug_interval"] = str(DAY)
    parser["s3 tenant"]["tenant"] = "testx"
    with file.open("w") as output:
        parser.write(output)


def _section(cloud: Running, user: str) -> dict[str, str]:
    settings = cloud.credentials(user)
    owner = cloud.client("s3", user).list_buckets()["Owner"]
    email = f"{user}@localhost"
    cloud.command("user", "email", user, email)
    return {
        "display_name": owner.get("DisplayName", user),
        "user_id": owner["ID"],
        "email": email,
        "access_key": settings["AWS_ACCESS_KEY"],
        "secret_key": settings["AWS_SECRET_KEY"],
    }


def run(checkout: Path, python: str, settings: Path, words: str, marks: str, jobs: int) -> Outcome:
    """Run the suite and return what became of each test; its output goes to ours."""
    but = f"not {ALONE}"
    both: tuple[tuple[str, int], ...] = ((but, jobs), (ALONE, 1))
    if words:
        both = ((f"({words}) and {but}", jobs),)
        if ALONE in words:
            both = (*both, (ALONE, 1))
    outcome = Outcome()
    for some, at_once in both:
        outcome.add(_run(checkout, python, settings, some, marks, at_once))
    return outcome


def run_people(checkout: Path, python: str, cloud: Running, words: str, folder: Path) -> Outcome:
    """Run the suite's tests of IAM and STS with accounts and an identity provider of our own.

    The copy of the suite has ARNs and providers as AWS has them, see suite_as_aws.py.
    """
    with serving(path=f"/auth/realms/{REALM}") as issuer:
        settings = folder / "people.conf"
        account = write_people(cloud, issuer, settings)
        copy = copy_suite(checkout, folder / "suite", account, issuer.url)
        return _run(copy, python, settings, words, TRUE_OF_AWS, 1, PEOPLE_FILES)


def _run(
    checkout: Path,
    python: str,
    settings: Path,
    words: str,
    marks: str,
    jobs: int,
    files: Sequence[str] = FILES,
) -> Outcome:
    report = settings.with_suffix(".xml")
    report.unlink(missing_ok=True)  # the last run's would pass for that of one that ends early
    command = [str(Path(python).absolute()), "-m", "pytest", "-q", "-m", marks]
    command += [f"--junitxml={report}", "--tb=short"]
    command += [f"--timeout={SECONDS}", "-p", "no:cacheprovider", "-n", str(jobs), *files]
    if words:
        command += ["-k", words]
    environment = {**os.environ, "S3TEST_CONF": str(settings), "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, cwd=checkout, env=environment, check=False)
    return read(report)


def read(report: Path) -> Outcome:
    """Read what pytest wrote."""
    outcome = Outcome()
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name") or ""
        kinds = {child.tag for child in case}
        failed = kinds & {"failure", "error"}
        where = outcome.failed if failed else outcome.passed
        (outcome.skipped if "skipped" in kinds else where).append(name)
    return outcome


def reasons(document: str) -> dict[str, str]:
    """Return the tests that the document explains, with their reasons."""
    return dict(REASON.findall(document))


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--python", default=sys.executable, help="Python with the suite's requirements.")
@click.option("-k", "words", default="", help="Only tests whose names match, as for pytest.")
@click.option("--all", "everything", is_flag=True, help="Also what AWS itself does otherwise.")
@click.option("--json", "to", type=click.Path(path_type=Path), help="Write the outcome here too.")
@click.option("--part", type=click.Choice(["s3", "iam"]), help="Only these tests.")
@click.option("-j", "--jobs", default=2, help="Tests at the same time.", show_default=True)
def main(
    checkout: Path,
    python: str,
    words: str,
    everything: bool,
    to: Path | None,
    part: str | None,
    jobs: int,
) -> None:
    """Run the suite in CHECKOUT and say what passes, what does not, and what is unexplained."""
    folder = Path(tempfile.mkdtemp(prefix="eucabox-s3-tests-", dir="/var/tmp"))
    try:
        with running(EXTRA) as cloud:
            write_settings(cloud, folder / "s3tests.conf")
            marks = EXCLUDED if everything else TRUE_OF_AWS
            outcome = Outcome()
            if part != "iam":
                outcome = run(checkout, python, folder / "s3tests.conf", words, marks, jobs)
            if part != "s3":
                outcome.add(run_people(checkout, python, cloud, words, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if to:
        to.write_text(json.dumps(vars(outcome), indent=1))
    sys.exit(_say(outcome, whole=not words and not everything and not part))


def _say(outcome: Outcome, whole: bool) -> int:
    """Print the result and return the exit code: 0 if the document says all of it."""
    explained = reasons(DOCUMENT.read_text()) if DOCUMENT.exists() else {}
    surprises = sorted(set(outcome.failed) - explained.keys())
    settled = sorted(set(outcome.passed) & explained.keys()) if whole else []
    ran = len(outcome.passed) + len(outcome.failed)
    click.echo(f"{len(outcome.passed)} of {ran} passed, {len(outcome.skipped)} skip themselves")
    for name in surprises:
        click.echo(f"failed without a reason in {DOCUMENT.name}: {name}")
    for name in settled:
        click.echo(f"passed in spite of a reason in {DOCUMENT.name}: {name}")
    return 1 if surprises or settled else 0


if __name__ == "__main__":
    main()
