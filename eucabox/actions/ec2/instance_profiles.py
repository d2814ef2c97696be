"""Gives instances their instance profiles and takes them away; makes no profile."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import instance_profiles, instances
from eucabox.ec2.filters import Columns, Filter, page, select
from eucabox.ec2.instance_profiles import Association, InstanceProfileSpecification
from eucabox.errors import IncorrectInstanceState, InvalidParameterCombination
from eucabox.instance_states import ENDED

# What an answer says of a change that is done already, as clients wait for the next state.
BEGUN, ENDING = "associating", "disassociating"
FILTERS: Columns[Association] = {
    "instance-id": "instance_id",
    "state": lambda row: instance_profiles.ASSOCIATED,
}


@action()
def associate_iam_instance_profile(
    call: Call, *, iam_instance_profile: InstanceProfileSpecification, instance_id: str
) -> Result:
    """Give an instance an instance profile; it may have none yet."""
    state = call.cloud.state
    with state.transaction():
        (row,) = instances.get_many(state, call.user, [instance_id])
        if row["state"] in ENDED:
            raise IncorrectInstanceState(
                id=instance_id,
                state=row["state"],
                action="AssociateIamInstanceProfile",
                needed="running or stopped",
            )
        profile = instance_profiles.get_profile(state, row["account_id"], iam_instance_profile)
        association_id = instance_profiles.associate(state, instance_id, profile)
    return _answer(call, association_id)


@action()
def replace_iam_instance_profile_association(
    call: Call, *, iam_instance_profile: InstanceProfileSpecification, association_id: str
) -> Result:
    """Give an instance another profile in place of that of an association."""
    state = call.cloud.state
    with state.transaction():
        old = _get_association(call, association_id)
        profile = instance_profiles.get_profile(state, old["account_id"], iam_instance_profile)
        instance_profiles.disassociate(state, old)
        new_id = instance_profiles.associate(state, old["instance_id"], profile)
    return _answer(call, new_id)


@action()
def disassociate_iam_instance_profile(call: Call, *, association_id: str) -> Result:
    """Take an instance's profile from it; the credentials that it was given are void at once."""
    with call.cloud.state.transaction():
        association = _get_association(call, association_id)
        instance_profiles.disassociate(call.cloud.state, association)
    return {"iam_instance_profile_association": instance_profiles.to_api(association, ENDING)}


@action()
def describe_iam_instance_profile_associations(
    call: Call,
    *,
    association_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List which of the account's instances have which profile."""
    if association_ids and max_results is not None:
        reason = "MaxResults can't be given together with association IDs; leave one out."
        raise InvalidParameterCombination(reason=reason)
    every = association_ids and call.user.admin
    rows = instance_profiles.list_associations(
        call.cloud.state, None if every else call.account_id, association_ids
    )
    page_rows, token = page(select(rows, filters, FILTERS), _sort_key, max_results, next_token)
    shown = [instance_profiles.to_api(row) for row in page_rows]
    return {"iam_instance_profile_associations": shown, "next_token": token}


def _get_association(call: Call, association_id: str) -> Association:
    """Return an association of the caller's account; the administrator may name any."""
    account_id = None if call.user.admin else call.account_id
    return instance_profiles.get_association(call.cloud.state, account_id, association_id)


def _answer(call: Call, association_id: str) -> Result:
    association = _get_association(call, association_id)
    return {"iam_instance_profile_association": instance_profiles.to_api(association, BEGUN)}


def _sort_key(row: Association) -> str:
    return f"{row['created']} {row['association_id']}"
