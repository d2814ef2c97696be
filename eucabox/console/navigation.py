"""The one table of what the console offers, and whether a user may have it; performs nothing."""

from dataclasses import dataclass

from eucabox import actions
from eucabox.actions.permissions import JUDGED_AS
from eucabox.console.site import current_console
from eucabox.iam.caller import Caller
from eucabox.s3.policy_actions import policy_action


@dataclass(frozen=True)
class Offer:
    """A page in the navigation; `needs` is the verb without which it is empty, None for none."""

    label: str
    endpoint: str
    icon: str
    needs: tuple[str, str] | None = None
    section: str = ""  # one of SECTIONS, in whose order they are shown
    about: str = ""  # for a tile on the first page
    also: tuple[str, ...] = ()  # other blueprints whose pages belong to it


SECTIONS = ("", "Compute", "Storage", "People", "You", "Administration")
OFFERS = (
    Offer("Home", "home.show", "home"),
    Offer(
        "Instances", "instances.show", "server", ("ec2", "DescribeInstances"), "Compute",
        "What runs here: launch, look at consoles, stop, terminate.",
        ("instance", "launch", "serial", "screen"),
    ),
    Offer(
        "Images", "images.show", "disc", ("ec2", "DescribeImages"), "Compute",
        "What instances are made of: upload disks, share and launch them.",
    ),
    Offer(
        "Key pairs", "key_pairs.show", "key", ("ec2", "DescribeKeyPairs"), "Compute",
        "Who may log in to new instances.",
    ),
    Offer(
        "Security groups", "security_groups.show", "shield",
        ("ec2", "DescribeSecurityGroups"), "Compute",
        "What may reach instances, and what they may reach.",
    ),
    Offer(
        "Buckets", "buckets.show_buckets", "bucket", section="Storage",
        about="Objects in folders: upload, look, share, and say who may.",
    ),
    Offer(
        "Credentials", "credentials.show", "key", section="You",
        about="Access keys, certificates and the zip for your clients.",
    ),
    Offer("Password", "password.show", "lock", section="You", about="Choose a new one."),
    Offer(
        "Second factor", "second_factor.show", "shield", section="You",
        about="An app or device whose code you type when you sign in.",
    ),
    Offer(
        "Sessions", "sessions.show", "screen", section="You",
        about="Where you are signed in, and how to end it.",
    ),
    Offer(
        "Users", "users.show_list", "people", ("iam", "ListUsers"), "People",
        "Who else works in this account, and with which rights.",
    ),
    Offer("Groups", "groups.show_list", "group", ("iam", "ListGroups"), "People"),
    Offer("Roles", "roles.show_list", "badge", ("iam", "ListRoles"), "People"),
    Offer("Policies", "policies.show_list", "shield", ("iam", "ListPolicies"), "People"),
    Offer(
        "Why refused", "why_refused.show", "search", ("iam", "SimulatePrincipalPolicy"), "People"
    ),
    Offer(
        "Events", "events.show", "pulse", ("bootstrap", "DescribeEvents"), "You",
        "What was done, what was refused, and how instances fared.",
    ),
    Offer(
        "Requests", "sign_ups.show", "people", ("bootstrap", "ListSignUps"), "Administration",
        "Who asks for an account: approve or reject.",
    ),
    Offer(
        "Accounts", "accounts.show_list", "group", ("bootstrap", "DescribeAccountUsage"),
        "Administration", "How much of this cloud each uses, and may use.",
    ),
    Offer(
        "Instance types", "instance_type_sizes.show", "server",
        ("ec2", "ModifyInstanceTypeAttribute"), "Administration",
    ),
    Offer(
        "Settings", "settings.show", "gear", ("bootstrap", "DescribeSettings"), "Administration"
    ),
    Offer("Mail", "mails.show", "mail", ("bootstrap", "ListMails"), "Administration"),
    Offer(
        "All sessions", "all_sessions.show", "screen", ("bootstrap", "ListConsoleSessions"),
        "Administration",
    ),
    Offer("Log", "log.show", "list", ("bootstrap", "ListLogLines"), "Administration"),
    Offer(
        "Faults", "faults.show", "warn", ("bootstrap", "DescribeFaults"), "Administration",
        "What is wrong with the cloud or its host, and how to mend it.",
    ),
)  # fmt: skip


def list_offers(caller: Caller | None) -> list[Offer]:
    """Return the pages for a user; none for one who has not signed in."""
    if caller is None:
        return []
    offers = [each for each in OFFERS if each.needs is None or may(caller, *each.needs)]
    return sorted(offers, key=lambda each: SECTIONS.index(each.section))


def may(caller: Caller, service: str, name: str) -> bool:
    """Whether a user may perform a verb on anything at all; perform() judges the rest."""
    action = actions.load().get((service, name))
    if action is None or (action.admin and not caller.admin):
        return False
    if not caller.is_limited:
        return True
    policies = current_console().cloud.accounts.authorization.find_policies(caller)
    service, name = JUDGED_AS.get((service, name), (service, name))
    return policies.may_permit(policy_action(name) if service == "s3" else f"{service}:{name}")
