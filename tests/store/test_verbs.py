"""The table of verbs beside the verbs that there are and the words of policies."""

from eucabox import actions
from eucabox.policy.s3 import ACTIONS
from eucabox.store import verbs

VERBS = {name for service, name in actions.load() if service in ("s3", "s3control")}


def test_every_verb_of_a_bucket_is_an_action_of_policies() -> None:
    told = {verbs.action_of(name).removeprefix("s3:") for name in VERBS - {"ListBuckets"}}
    assert told <= ACTIONS


def test_the_table_has_nothing_but_verbs_and_actions() -> None:
    assert verbs.ACTIONS_OF.keys() <= VERBS
    assert verbs.WRITES <= VERBS
    named = {*verbs.PERMISSIONS_OF, *verbs.VERSIONED.values(), *verbs.CONTENT, *verbs.MENDING}
    assert {each.removeprefix("s3:") for each in named} <= ACTIONS
