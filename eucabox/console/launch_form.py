"""What a visitor filled in to launch instances, and the members of RunInstances that it makes."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from werkzeug.datastructures import FileStorage, MultiDict

from eucabox.console.compute import NAME_TAG, ShownInstance, ShownTag, find_name
from eucabox.console.guard import check_text
from eucabox.errors import InvalidParameterValue
from eucabox.instance_types import DEFAULT

MOST_ID, MOST_NAME, MOST_VALUE, MOST_GROUPS, MOST_TAGS = 128, 255, 256, 100, 50
MOST_USER_DATA = 16384  # bytes
MOST_COUNT_DIGITS = 4
OLD_KEY, NEW_KEY, IMPORTED_KEY = "old:", "new", "import"  # a key pair that is there, has its name


@dataclass(frozen=True)
class LaunchForm:
    """The fields. `key` is empty for none, OLD_KEY and a name, NEW_KEY or IMPORTED_KEY; `tags` has
    a KEY=VALUE on each line."""

    image_id: str = ""
    instance_type: str = DEFAULT
    key: str = ""
    key_name: str = ""
    public_key: str = ""
    groups: tuple[str, ...] = ()
    user_data: bytes = b""
    profile: str = ""
    count: str = "1"
    name: str = ""
    tags: str = ""
    protected: bool = False
    token: str = ""

    @property
    def user_data_text(self) -> str:
        """The user data for a field; empty for what is no text."""
        try:
            return self.user_data.decode()
        except UnicodeDecodeError:
            return ""

    @property
    def old_key_name(self) -> str:
        """The name of a key pair that is there already."""
        return self.key.removeprefix(OLD_KEY) if self.key.startswith(OLD_KEY) else ""

    def choose_old_key(self, name: str) -> "LaunchForm":
        """Return the same form with a key pair that is there by now."""
        return replace(self, key=OLD_KEY + name, key_name="", public_key="")

    def to_members(self) -> dict[str, object]:
        """Return the members of RunInstances; raises InvalidParameterValue."""
        count = _read_count(self.count)
        members: dict[str, object] = {
            "image_id": self.image_id,
            "instance_type": self.instance_type,
            "min_count": count,
            "max_count": count,
            "key_name": self.old_key_name,
            "security_group_ids": list(self.groups),
            "user_data": base64.b64encode(self.user_data).decode(),
            "disable_api_termination": self.protected,
            "client_token": self.token,
        }
        tags = read_tag_lines(self.tags, self.name)
        if tags:
            members["tag_specifications"] = [{"resource_type": "instance", "tags": tags}]
        if self.profile:
            members["iam_instance_profile"] = {"name": self.profile}
        return members


def read_launch_form(
    form: MultiDict[str, str], files: Mapping[str, FileStorage], token: str
) -> LaunchForm:
    """Return what was sent; raises BadRequest for fields that are too long."""
    file = files.get("user_data_file")
    user_data = file.read(MOST_USER_DATA + 1) if file else b""
    return LaunchForm(
        image_id=check_text(form.get("image_id", ""), MOST_ID, "The image"),
        instance_type=check_text(form.get("instance_type", ""), MOST_ID, "The type"),
        key=check_text(form.get("key", ""), MOST_NAME + len(OLD_KEY), "The key pair"),
        key_name=check_text(form.get("key_name", ""), MOST_NAME, "The name of the key pair"),
        public_key=form.get("public_key", ""),
        groups=tuple(each[:MOST_ID] for each in form.getlist("group")[:MOST_GROUPS]),
        user_data=user_data or _with_plain_lines(form.get("user_data", "")).encode(),
        profile=check_text(form.get("profile", ""), MOST_ID, "The role"),
        count=check_text(form.get("count", ""), MOST_COUNT_DIGITS, "The number"),
        name=check_text(form.get("name", ""), MOST_VALUE, "The name"),
        tags=form.get("tags", ""),
        protected=form.get("protected") == "yes",
        token=token,
    )


def copy_launch(instance: ShownInstance, user_data: bytes) -> LaunchForm:
    """Return the form that launches another instance like this one."""
    profile, key_name = instance["iam_instance_profile"], instance["key_name"]
    own_tags = [each for each in instance["tags"] if each["key"] != NAME_TAG]
    return LaunchForm(
        image_id=instance["image_id"],
        instance_type=instance["instance_type"],
        key=OLD_KEY + key_name if key_name else "",
        groups=tuple(each["group_id"] for each in instance["security_groups"]),
        user_data=user_data,
        profile=profile["arn"].rpartition("/")[2] if profile else "",
        name=find_name(instance["tags"]),
        tags="\n".join(f"{each['key']}={each['value']}" for each in own_tags),
    )


def read_tag_lines(lines: str, name: str = "") -> list[ShownTag]:
    """Return the tags of lines KEY=VALUE, and the name as the first; raises
    InvalidParameterValue for more than a resource may have."""
    tags: list[ShownTag] = [{"key": NAME_TAG, "value": name}] if name else []
    for line in filter(None, map(str.strip, lines.splitlines())):
        key, _, value = line.partition("=")
        tags.append({"key": key.strip(), "value": value.strip()})
    if len(tags) > MOST_TAGS:
        reason = f"Give at most {MOST_TAGS} tags, each on a line of its own as KEY=VALUE."
        raise InvalidParameterValue(parameter="Tags", value=len(tags), reason=reason)
    return tags


def list_user_data_faults(form: LaunchForm) -> Sequence[str]:
    """Return what of user data that was taken over can't be shown in a field."""
    if form.user_data and not form.user_data_text:
        return ["Its user data is no text and is not taken over: choose the file once more."]
    return []


def _read_count(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise InvalidParameterValue(
        parameter="Count", value=text, reason="Give the number of instances."
    )


def _with_plain_lines(text: str) -> str:
    """Browsers end the lines of a field as DOS does, and a script's first line would not run."""
    return text.replace("\r\n", "\n")
