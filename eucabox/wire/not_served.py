"""AWS's other services: recognises their requests by the signed scope and answers, in the client's
protocol, that they are not served. Reads no body and checks no signature: nothing is given away."""

import json
from datetime import datetime
from functools import cache
from typing import NoReturn

from eucabox.errors import Fault, ServiceNotServed
from eucabox.wire import model, query, serializers
from eucabox.wire.request import Answer, Request
from eucabox.wire.status import status_of

S3_SCOPE = "/s3/aws4_request"
SERVED = frozenset([*query.SERVICES, "s3"])
# What users call a service, by the name that its requests are signed for.
NAMES = {
    "acm": "Certificate Manager",
    "apigateway": "API Gateway",
    "application-autoscaling": "Application Auto Scaling",
    "athena": "Athena",
    "autoscaling": "Auto Scaling",
    "backup": "Backup",
    "batch": "Batch",
    "bedrock": "Bedrock",
    "ce": "Cost Explorer",
    "cloudformation": "CloudFormation",
    "cloudfront": "CloudFront",
    "cloudtrail": "CloudTrail",
    "codebuild": "CodeBuild",
    "cognito-identity": "Cognito",
    "cognito-idp": "Cognito",
    "config": "Config",
    "dynamodb": "DynamoDB",
    "ecr": "ECR",
    "ecs": "ECS",
    "eks": "EKS",
    "elasticache": "ElastiCache",
    "elasticbeanstalk": "Elastic Beanstalk",
    "elasticfilesystem": "EFS",
    "elasticloadbalancing": "Elastic Load Balancing",
    "elasticmapreduce": "EMR",
    "email": "SES",
    "es": "OpenSearch Service",
    "events": "EventBridge",
    "firehose": "Data Firehose",
    "glue": "Glue",
    "guardduty": "GuardDuty",
    "kinesis": "Kinesis",
    "kms": "KMS",
    "lambda": "Lambda",
    "logs": "CloudWatch Logs",
    "monitoring": "CloudWatch",
    "organizations": "Organizations",
    "rds": "RDS",
    "redshift": "Redshift",
    "route53": "Route 53",
    "route53domains": "Route 53 Domains",
    "sagemaker": "SageMaker",
    "sdb": "SimpleDB",
    "secretsmanager": "Secrets Manager",
    "servicediscovery": "Cloud Map",
    "ses": "SES",
    "sns": "SNS",
    "sqs": "SQS",
    "ssm": "Systems Manager",
    "sso": "IAM Identity Center",
    "states": "Step Functions",
    "support": "Support",
    "swf": "Simple Workflow",
    "xray": "X-Ray",
}
# Where Eucalyptus has some of them.
PATHS = {
    "/services/AutoScaling": "autoscaling",
    "/services/CloudFormation": "cloudformation",
    "/services/CloudWatch": "monitoring",
    "/services/LoadBalancing": "elasticloadbalancing",
    "/services/SimpleWorkflow": "swf",
}
REST_XML = ("cloudfront", "route53")  # the services whose REST answers are XML; others' are JSON
JSON_VERSIONS = ("application/x-amz-json-1.0", "application/x-amz-json-1.1")
JSON, CBOR, REST, XML = "json", "cbor", "rest-json", "xml"


def find_service(request: Request) -> str:
    """Return the name of the absent service that a request is signed for, or ""."""
    if S3_SCOPE in request.headers.get("authorization", ""):
        return ""
    path = query.service_path(request)
    if path in PATHS or path in query.PATHS:
        return PATHS.get(path, "")
    scope = query.scope_service(request)
    return "" if scope in SERVED or scope not in _known_services() else scope


def understand(request: Request, lookup: object, now: datetime) -> NoReturn:
    """Refuse the request, in the protocol that it speaks."""
    service = find_service(request)
    name = NAMES.get(service, service)
    kind = request.headers.get("content-type", "")
    raise ServiceNotServed(name=name, protocol=_find_protocol(request, service), kind=kind)


def answer(understood: object, result: object) -> NoReturn:
    """Never called: `understand` always raises."""
    raise AssertionError("a service that is not served has no answer")


def refuse(fault: Fault, request_id: str, service: str = "") -> Answer:
    """The error answer of a protocol: JSON, CBOR, REST with JSON, or XML."""
    protocol = fault.facts.get("protocol", XML)
    headers = [("x-amzn-requestid", request_id)]
    document = {"__type": fault.code, "message": fault.message}
    if protocol == CBOR:
        headers += [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
        return Answer(status_of(fault.code), headers, _write_cbor(document))
    if protocol == XML:
        headers.append(("Content-Type", query.XML))
        return Answer(status_of(fault.code), headers, _write_xml(fault, request_id))
    content_type = fault.facts.get("kind", "")  # JSON has versions, which the client chose
    kind = content_type if content_type in JSON_VERSIONS else "application/json"
    headers += [("Content-Type", kind), ("x-amzn-ErrorType", fault.code)]
    headers.append(("x-amzn-query-error", f"{fault.code};Sender"))  # for SQS' older code
    return Answer(status_of(fault.code), headers, json.dumps(document).encode())


def _find_protocol(request: Request, service: str) -> str:
    headers = request.headers
    kind = headers.get("content-type", "")
    if "cbor" in headers.get("smithy-protocol", "") or kind.startswith("application/cbor"):
        return CBOR
    if "x-amz-target" in headers:
        return JSON
    speaks_form = kind.startswith("application/x-www-form-urlencoded")
    if speaks_form or query.ACTION.search(request.query) or service in REST_XML:
        return XML
    return REST


@cache
def _known_services() -> frozenset[str]:
    """The names of AWS' services, as far as the installed botocore has them."""
    return frozenset([*NAMES, *model.list_services()]) - SERVED


def _write_xml(fault: Fault, request_id: str) -> bytes:
    content = serializers.element("Type", "Sender") + serializers.element("Code", fault.code)
    content += serializers.element("Message", fault.message)
    text = f"<Error>{content}</Error>{serializers.element('RequestId', request_id)}"
    return f"{serializers.DECLARATION}<ErrorResponse>{text}</ErrorResponse>".encode("ascii")


def _write_cbor(texts: dict[str, str]) -> bytes:
    """A map of texts (RFC 8949), each of less than 64 KiB."""
    items = [_write_cbor_text(each) for pair in texts.items() for each in pair]
    return bytes([0xA0 | len(texts)]) + b"".join(items)


def _write_cbor_text(text: str) -> bytes:
    content = text.encode()
    return b"\x79" + len(content).to_bytes(2, "big") + content
