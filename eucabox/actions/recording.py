"""Which verbs are events: changes, not reads, and no traffic of objects."""

READING = ("Describe", "Get", "List", "Head")
# What is named like a verb that only reads, and what only reads though it is not.
MAKING = frozenset({"GetSessionToken"})
THINKING = frozenset(
    {"DecodeAuthorizationMessage", "SimulateCustomPolicy", "SimulatePrincipalPolicy"}
)
OF_WHOLE_BUCKETS = frozenset(
    {"DeletePublicAccessBlock", "PutObjectLockConfiguration", "PutPublicAccessBlock"}
)
OF_OBJECTS = ("s3", "website")
OF_GUESTS = "metadata"


def is_reading(name: str) -> bool:
    """Whether a verb changes nothing, by its name."""
    return name not in MAKING and name.startswith(READING)


def is_recorded(service: str, name: str) -> bool:
    """Whether a verb is an event: requests for objects and of guests are not, they are many."""
    if is_reading(name) or name in THINKING or service == OF_GUESTS:
        return False
    return service not in OF_OBJECTS or "Bucket" in name or name in OF_WHOLE_BUCKETS
