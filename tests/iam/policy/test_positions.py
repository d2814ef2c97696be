"""Where statements stand in a document."""

import json

import pytest

from eucabox.iam.policy.positions import locate_statements

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
EXAMPLE = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2015-08-16T12:00:00Z"}}}}'
)


def places(text: str) -> list[tuple[int, int, int, int]]:
    return [
        (each.start.line, each.start.column, each.end.line, each.end.column)
        for each in locate_statements(text)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # AWS answers so of its command line's example and of AdministratorAccess
        (EXAMPLE, [(1, 38, 1, 167)]),
        (
            json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]}, indent=2),
            [(3, 17, 8, 6)],
        ),
        # a second statement begins behind the first one
        ('{"Statement": [{"a":1}, {"b":[{}]}]}', [(1, 16, 1, 23), (1, 23, 1, 35)]),
        # only the document's own member counts
        ('{"Id":"Statement","x":{"Statement":[{}]},"Statement":[{}]}', [(1, 55, 1, 57)]),
        ('{"\\u0053tatement":[{"a":"}]\\"{"}]}', [(1, 20, 1, 33)]),
    ],
)
def test_where_statements_stand(text: str, found: list[tuple[int, int, int, int]]) -> None:
    json.loads(text)
    assert places(text) == found
