"""A service of AWS that is not here says so, and each client can read it."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from eucabox import api
from eucabox.config import Config as Configuration
from eucabox.errors import ServiceNotServed
from eucabox.server.listener import Listener
from eucabox.wire import not_served
from eucabox.wire.request import Request

TEXT = "This cloud does not serve {}."


@pytest.fixture(scope="module")
def port() -> Any:
    cloud: Any = SimpleNamespace(config=Configuration())
    listener = Listener(("127.0.0.1", 0), api.create_app(cloud), 4, ("api", "port"))
    listener.open()
    yield listener.bind_addr[1]
    listener.shut()


def client(service: str, port: int, path: str = "") -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}{path}",
        region_name="eucabox-1",
        aws_access_key_id="AKIA0",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),
    )


CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("cloudwatch", "list_metrics", {}, "CloudWatch"),
    ("sqs", "list_queues", {}, "SQS"),
    ("dynamodb", "list_tables", {}, "DynamoDB"),
    ("kms", "list_keys", {}, "KMS"),
    ("logs", "describe_log_groups", {}, "CloudWatch Logs"),
    ("cloudformation", "list_stacks", {}, "CloudFormation"),
    ("elb", "describe_load_balancers", {}, "Elastic Load Balancing"),
    ("elbv2", "describe_load_balancers", {}, "Elastic Load Balancing"),
    ("autoscaling", "describe_auto_scaling_groups", {}, "Auto Scaling"),
    ("sns", "publish", {"TopicArn": "a", "Message": "m" * 100}, "SNS"),
    ("rds", "describe_db_instances", {}, "RDS"),
    ("lambda", "list_functions", {}, "Lambda"),
    ("lambda", "invoke", {"FunctionName": "f", "Payload": b"{}"}, "Lambda"),
    ("eks", "list_clusters", {}, "EKS"),
    ("efs", "describe_file_systems", {}, "EFS"),
    ("route53", "list_hosted_zones", {}, "Route 53"),
    ("cloudfront", "list_distributions", {}, "CloudFront"),
    ("polly", "describe_voices", {}, "polly"),
]


@pytest.mark.parametrize(("service", "operation", "members", "name"), CALLS)
def test_a_client_of_another_service_reads_that_it_is_not_served(
    port: int, service: str, operation: str, members: dict[str, Any], name: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(service, port), operation)(**members)
    error = caught.value.response["Error"]
    assert error["Code"].rpartition(".")[2] == "UnsupportedOperation"
    assert error["Message"].startswith(TEXT.format(name))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("path", "service", "operation", "name"),
    [
        ("CloudWatch", "cloudformation", "list_stacks", "CloudWatch"),
        ("AutoScaling/", "autoscaling", "describe_auto_scaling_groups", "Auto Scaling"),
        ("LoadBalancing", "elb", "describe_load_balancers", "Elastic Load Balancing"),
        ("CloudFormation", "cloudformation", "list_stacks", "CloudFormation"),
    ],
)
def test_the_services_of_eucalyptus_that_are_not_here_say_so_at_their_paths(
    port: int, path: str, service: str, operation: str, name: str
) -> None:
    with pytest.raises(ClientError, match=TEXT.format(name)):
        getattr(client(service, port, f"/services/{path}"), operation)()


def request(scope: str, method: str = "POST", path: str = "/", **headers: str) -> Request:
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA0/20260131/r/{scope}/aws4_request, Signature=0"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, path, "", {"authorization": signed, **named}, host="h")


@pytest.mark.parametrize("scope", ["s3", "ec2", "sts", "iam", "bootstrap", "127", "host", ""])
def test_what_is_served_or_unknown_is_left_to_others(scope: str) -> None:
    for path in ("/", "/bucket/key", "/services/compute"):
        assert not not_served.find_service(request(scope, path=path))


def test_the_path_of_a_served_service_counts_more_than_the_scope() -> None:
    assert not not_served.find_service(request("monitoring", path="/services/compute"))
    assert not_served.find_service(request("monitoring", "PUT", "/bucket/key")) == "monitoring"


def test_a_presigned_request_of_another_service_is_recognised() -> None:
    signed_request = request("")
    signed_request.headers.clear()
    signed_request.query = (
        "X-Amz-Credential=AKIA0%2F20260131%2Fr%2Fsqs%2Faws4_request&Action=ReceiveMessage"
    )
    assert not_served.find_service(signed_request) == "sqs"


@pytest.mark.parametrize("kind", ["application/x-amz-json-1.0", "application/x-amz-json-1.1"])
def test_json_is_answered_in_its_version(kind: str) -> None:
    understood = request("kms", content_type=kind, x_amz_target="TrentService.ListKeys")
    with pytest.raises(ServiceNotServed) as caught:
        not_served.understand(understood, None, datetime.now(UTC))
    answer = not_served.refuse(caught.value, "r")
    assert dict(answer.headers)["Content-Type"] == kind
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["__type"] == "UnsupportedOperation"
