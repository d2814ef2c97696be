"""The table of verbs beside the verbs that there are and the words of policies."""

from eucabox import actions
from eucabox.iam.policy.s3_vocabulary import ACTIONS
from eucabox.s3 import policy_actions

VERBS = {name for service, name in actions.load() if service in ("s3", "s3control")}


def test_every_operation_of_a_bucket_has_a_policy_action() -> None:
    names = {
        policy_actions.policy_action(name).removeprefix("s3:") for name in VERBS - {"ListBuckets"}
    }
    assert names <= ACTIONS


def test_the_table_has_only_operations_and_policy_actions() -> None:
    assert policy_actions.ACTIONS_OF.keys() <= VERBS
    assert policy_actions.WRITES <= VERBS
    named = {
        *policy_actions.PERMISSIONS_OF,
        *policy_actions.VERSIONED.values(),
        *policy_actions.CONTENT,
        *policy_actions.OWNER_KEEPS,
    }
    assert {each.removeprefix("s3:") for each in named} <= ACTIONS
