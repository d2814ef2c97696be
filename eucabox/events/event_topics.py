"""Which kinds of things a verb changes, and the names of what it changed; asks no database."""

from collections.abc import Iterator, Mapping, Sequence

# Words in the names of EC2's verbs, and the kinds of things that these change.
_EC2 = (
    ("IamInstanceProfile", ("instances",)),
    ("InstanceType", ("instance-types",)),
    ("Instance", ("instances",)),
    ("BundleTask", ("instances",)),
    ("Image", ("images",)),
    ("KeyPair", ("key-pairs",)),
    ("SecurityGroup", ("security-groups",)),
    ("Tags", ("instances", "images", "key-pairs", "security-groups")),
)
_CONSOLE = {
    "RequestAccount": ("sign-ups", "mails"),
    "ConfirmAccount": ("sign-ups", "users"),
    "RequestPasswordReset": ("mails",),
}
_BOOTSTRAP = {
    "ApproveSignUp": ("sign-ups", "users", "mails"),
    "RejectSignUp": ("sign-ups", "mails"),
    "RescanBuckets": ("buckets",),
    "RetryMail": ("mails",),
    "DropMail": ("mails",),
}
# Members that name what a verb is about, and members of answers that name what it made.
_NAMES = (
    "instance_ids", "instance_id", "image_id", "source_image_id", "key_name", "key_names",
    "key_pair_id", "key_pair_ids", "group_id", "group_name", "bundle_id", "association_id",
    "instance_type", "resources", "bucket", "resource_arn", "user_name", "role_name",
    "instance_profile_name", "policy_name", "policy_arn", "access_key_id", "certificate_id",
    "open_id_connect_provider_arn", "url", "account_name", "account_alias", "role_arn",
    "serial_number", "virtual_mfa_device_name", "sign_up_id", "buckets", "filter",
)  # fmt: skip
_MADE = ("instance_id", "image_id", "group_id", "key_pair_id", "bundle_id", "access_key_id",
         "certificate_id", "account_id", "association_id")  # fmt: skip
_INSIDE = (
    "instances", "bundle_instance_task", "access_key", "certificate", "account", "user", "role",
    "iam_instance_profile_association",
)  # fmt: skip
MOST_NAMED = 100


def find_topics(service: str, action: str) -> tuple[str, ...]:
    """Return the kinds of things that a verb changes, as pages name them."""
    if service == "ec2":
        return next((topics for word, topics in _EC2 if word in action), ())
    if service in ("s3", "s3control"):
        return ("buckets",)
    if service == "iam":
        return ("users",)
    if service == "console":
        return _CONSOLE.get(action, ())
    return _BOOTSTRAP.get(action, ())


def find_resources(params: Mapping[str, object], result: Mapping[str, object] | None) -> list[str]:
    """Return the names of what a request was about, and of what it made."""
    named = [*_read(params, _NAMES), *_read_made(result or {})]
    return list(dict.fromkeys(named))[:MOST_NAMED]


def _read(members: Mapping[str, object], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        value = members.get(name)
        listed = value[:MOST_NAMED] if isinstance(value, (list, tuple)) else (value,)
        yield from (each for each in listed if isinstance(each, str) and each)


def _read_made(result: Mapping[str, object]) -> Iterator[str]:
    yield from _read(result, _MADE)
    for name in _INSIDE:
        value = result.get(name)
        for each in value[:MOST_NAMED] if isinstance(value, (list, tuple)) else (value,):
            if isinstance(each, Mapping):
                yield from _read(each, _MADE)
