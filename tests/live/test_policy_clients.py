"""IAM's simulator through the AWS command line, against the real process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.live.process import Running

AWS = str(Path(sys.executable).with_name("aws"))
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Mine",
            "Effect": "Allow",
            "Action": "ec2:*Instances",
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:ResourceTag/owner": "${aws:username}"}},
        },
        {
            "Effect": "Deny",
            "Action": "ec2:TerminateInstances",
            "Resource": "arn:aws:ec2:*:*:instance/i-2",
        },
    ],
}
INSTANCES = ["arn:aws:ec2:eucabox:111111111111:instance/i-1"]


def iam(cloud: Running, *argv: str) -> Any:
    done = subprocess.run(
        [AWS, "--endpoint-url", cloud.endpoint, "--output", "json", "iam", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **cloud.settings, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_aws_command_line_simulates_a_policy(cloud: Running) -> None:
    document = {**POLICY, "Statement": [POLICY["Statement"][0]]}
    text = json.dumps(document, indent=2)
    asked = [
        "simulate-custom-policy", "--policy-input-list", text,
        "--action-names", "ec2:TerminateInstances", "ec2:RunInstances",
        "--caller-arn", "arn:aws:iam::111111111111:user/ann", "--resource-arns", *INSTANCES,
    ]  # fmt: skip
    bare = iam(cloud, *asked)["EvaluationResults"]
    assert [each["EvalDecision"] for each in bare] == ["implicitDeny"] * 2
    assert bare[0]["MissingContextValues"] == ["ec2:ResourceTag/owner"]
    entry = "ContextKeyName=ec2:ResourceTag/owner,ContextKeyValues=ann,ContextKeyType=string"
    first, second = iam(cloud, *asked, "--context-entries", entry)["EvaluationResults"]
    assert (first["EvalDecision"], second["EvalDecision"]) == ("allowed", "allowed")
    assert first["MissingContextValues"] == []
    assert first["MatchedStatements"] == [
        {
            "SourcePolicyId": "PolicyInputList.1",
            "SourcePolicyType": "IAM Policy",
            "StartPosition": {"Line": 3, "Column": 17},
            "EndPosition": {"Line": 14, "Column": 6},
        }
    ]
    assert first["ResourceSpecificResults"][0]["EvalResourceName"] == INSTANCES[0]


def test_the_aws_command_line_lists_context_keys(cloud: Running) -> None:
    keys = iam(
        cloud, "get-context-keys-for-custom-policy", "--policy-input-list", json.dumps(POLICY)
    )
    assert keys == {"ContextKeyNames": ["ec2:ResourceTag/owner", "aws:username"]}
