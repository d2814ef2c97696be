"""Tables of which kinds of things verbs change, and of the members that name them."""

# Words in the names of EC2's verbs, and the kinds of things that these change.
EC2 = (
    ("IamInstanceProfile", ("instances",)),
    ("InstanceType", ("instance-types",)),
    ("Instance", ("instances",)),
    ("BundleTask", ("instances",)),
    ("Image", ("images",)),
    ("KeyPair", ("key-pairs",)),
    ("SecurityGroup", ("security-groups",)),
    ("Tags", ("instances", "images", "key-pairs", "security-groups")),
)
CONSOLE = {
    "RequestAccount": ("sign-ups", "mails"),
    "ConfirmAccount": ("sign-ups", "users"),
    "RequestPasswordReset": ("mails",),
}
BOOTSTRAP = {
    "ApproveSignUp": ("sign-ups", "users", "mails"),
    "RejectSignUp": ("sign-ups", "mails"),
    "RescanBuckets": ("buckets",),
    "RetryMail": ("mails",),
    "DropMail": ("mails",),
}
# Members that name what a verb is about, and members of answers that name what it made.
NAMES = (
    "instance_ids", "instance_id", "image_id", "source_image_id", "key_name", "key_names",
    "key_pair_id", "key_pair_ids", "group_id", "group_name", "bundle_id", "association_id",
    "instance_type", "resources", "bucket", "resource_arn", "user_name", "role_name",
    "instance_profile_name", "policy_name", "policy_arn", "access_key_id", "certificate_id",
    "open_id_connect_provider_arn", "url", "account_name", "account_alias", "role_arn",
    "serial_number", "virtual_mfa_device_name", "sign_up_id", "buckets", "filter",
)  # fmt: skip
MADE = ("instance_id", "image_id", "group_id", "key_pair_id", "bundle_id", "access_key_id",
         "certificate_id", "account_id", "association_id")  # fmt: skip
INSIDE = (
    "instances", "bundle_instance_task", "access_key", "certificate", "account", "user", "role",
    "iam_instance_profile_association",
)  # fmt: skip
MOST_NAMED = 100
