"""The sections of eucabox.conf: each key with its default and its check; reads no file."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from eucabox.errors import ConfigError

if TYPE_CHECKING:
    pass

DEFAULT_FILE = Path("/etc/eucabox/eucabox.conf")
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}([.](?!-)[A-Za-z0-9-]{1,63})*", re.ASCII)
PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# An address as browsers check it, and as a header can have one: no name, no comma, no line's end,
# and no "=?", which those who read mail are shown decoded.
MAIL_ADDRESS = re.compile(
    rf"(?=.{{3,254}}\Z)(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{HOST_NAME.pattern}",
    re.ASCII,
)
BASE_URL = re.compile(
    rf"https?://(?:{HOST_NAME.pattern}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?(?:/[\w.~-]+)*",
    re.ASCII,
)
SIGN_UP_FIELDS = ("telephone", "project_leader", "affiliation", "description")
HOST_SERVICE = re.compile(f"all|icmp|(?:tcp|udp)/{PORT}(?:-{PORT})?")
Value = TypeVar("Value")
Check = Callable[[Value], str]


def _between(low: int, high: int) -> Check[int]:
    return lambda value: "" if low <= value <= high else f"must be from {low} to {high}"


def _one_of(*words: str) -> Check[str]:
    return lambda value: "" if value in words else f"must be one of {', '.join(words)}"


def _address(value: str) -> str:
    return "" if _parses(ipaddress.ip_address, value) else "must be an IP address"


def _host_names(value: str) -> str:
    wrong = [each for each in words(value) if not HOST_NAME.fullmatch(each)]
    return f"has {wrong[0]}, which is not a host's name such as s3.example.com" if wrong else ""


def _one_or_more_host_names(value: str) -> str:
    return _host_names(value) if words(value) else "must be a host's name"


def _subnet(value: str) -> str:
    if value == "auto" or _parses(ipaddress.IPv4Network, value):
        return ""
    return "must be auto, or an IPv4 network such as 172.30.64.0/24"


def _name(value: str) -> str:
    plain = value.replace("-", "").isalnum() and value.isascii() and len(value) <= 40
    return "" if plain else "must be letters, digits and '-', 40 at most"


def _bridge(value: str) -> str:
    plain = value.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return "" if plain and len(value) <= 15 else "must be a name of at most 15 letters and digits"


def _bridge_or_none(value: str) -> str:
    return "" if not value else _bridge(value)


def _own_bridge(value: str) -> str:
    short = len(value) <= 12  # an address on it has a label, which is the name and three letters
    return _bridge(value) if short else "must have at most 12 letters"


def _absolute(value: Path) -> str:
    return "" if value.is_absolute() else "must be an absolute path"


def _absolute_or_none(value: str) -> str:
    return "" if not value else _absolute(Path(value))


def _token_or_none(value: str) -> str:
    fits = value.isascii() and value.isprintable() and " " not in value
    if not value or (fits and 16 <= len(value) <= 256):
        return ""
    return "must have 16 to 256 letters, digits and signs, without blanks"


def _key_names(value: str) -> str:
    names = words(value)
    plain = all(
        each.isascii() and each.replace("-", "").replace("_", "").isalnum() and len(each) <= 64
        for each in names
    )
    if not plain or "aws-s3" in names:  # that one is alias/aws/s3
        return "must be names of letters, digits, '-' and '_', separated by commas; not aws-s3"
    return ""


def _host_services(value: str) -> str:
    wrong = [each for each in words(value) if not HOST_SERVICE.fullmatch(each)]
    return f"has {wrong[0]}, which is not like tcp/22, udp/5000-5010, icmp or all" if wrong else ""


def _mail_address_or_none(value: str) -> str:
    fits = not value or MAIL_ADDRESS.fullmatch(value)
    return "" if fits else "must be one address such as cloud@example.com"


def _host_or_none(value: str) -> str:
    fits = not value or HOST_NAME.fullmatch(value) or _parses(ipaddress.ip_address, value)
    return "" if fits else "must be a host's name or an IP address"


def _base_url(value: str) -> str:
    return (
        "" if not value or BASE_URL.fullmatch(value) else "must be like https://cloud.example.com"
    )


def _sign_up_fields(value: str) -> str:
    wrong = [each for each in words(value) if each not in SIGN_UP_FIELDS]
    return f"has {wrong[0]}; there are {', '.join(SIGN_UP_FIELDS)}" if wrong else ""


def words(value: str) -> tuple[str, ...]:
    """Return the names in a value that lists them with commas or blanks between."""
    return tuple(value.replace(",", " ").split())


def _key(default: Value, check: Check[Value] | None = None, reload: bool = False) -> Value:
    return field(default=default, metadata={"check": check, "reload": reload})


@dataclass(frozen=True)
class CloudSection:
    """The cloud as a whole: where it keeps its data, what its region and zone are called."""

    data_dir: Path = _key(Path("/var/lib/eucabox"), _absolute)
    region: str = _key("eucabox-1", _name)
    zone: str = _key("eucabox-1a", _name)
    log_file: str = _key("", _absolute_or_none)
    log_mb: int = _key(10, _between(1, 4096))
    log_level: str = _key("info", _one_of("debug", "info", "warning", "error"), reload=True)


@dataclass(frozen=True)
class ApiSection:
    """The clients' door; https_port 0 closes the TLS listener."""

    listen: str = _key("127.0.0.1", _address)
    port: int = _key(8773, _between(1, 65535))
    https_port: int = _key(8443, _between(0, 65535))
    threads: int = _key(32, _between(4, 512))
    hosts: str = _key("", _host_names, reload=True)
    guests: bool = _key(True, reload=True)
    sandbox_pages: bool = _key(True, reload=True)

    @cached_property
    def known_hosts(self) -> tuple[str, ...]:
        """The names under which clients know this cloud, in lower case."""
        return words(self.hosts.lower())

    @property
    def certified(self) -> tuple[str, ...]:
        """The names that the TLS certificate is for, with those of buckets and websites."""
        below = ("*.", "*.s3-website.")
        wild = [f"{label}{host}" for host in self.known_hosts for label in below]
        return (self.listen, *self.known_hosts, *wild)


@dataclass(frozen=True)
class ConsoleSection:
    """The door for people and their browsers; `hosts` are its names, the first is used in links."""

    enabled: bool = _key(True)
    listen: str = _key("127.0.0.1", _address)
    port: int = _key(8888, _between(1, 65535))
    hosts: str = _key("console.localhost", _one_or_more_host_names, reload=True)
    threads: int = _key(8, _between(2, 128))
    idle_minutes: int = _key(60, _between(1, 1440), reload=True)
    session_hours: int = _key(12, _between(1, 720), reload=True)
    metrics_token: str = _key("", _token_or_none, reload=True)

    @cached_property
    def known_hosts(self) -> tuple[str, ...]:
        """The names under which browsers reach the console, in lower case; never none."""
        return words(self.hosts.lower())

    @property
    def is_https(self) -> bool:
        """Whether it speaks HTTPS: wherever others than this machine reach it."""
        return not ipaddress.ip_address(self.listen).is_loopback

    @property
    def url(self) -> str:
        """The address for people and for links in mails, without a slash at its end."""
        scheme, usual = ("https", 443) if self.is_https else ("http", 80)
        port = "" if self.port == usual else f":{self.port}"
        return f"{scheme}://{self.known_hosts[0]}{port}"


@dataclass(frozen=True)
class MetadataSection:
    """The guests' door."""

    enabled: bool = _key(True)
    address: str = _key("169.254.169.254", _address)
    port: int = _key(8775, _between(1, 65535))


@dataclass(frozen=True)
class NodeSection:
    """The hypervisor and what instances may take of this host; 0 means what the host has."""

    virt_type: str = _key("auto", _one_of("auto", "kvm", "qemu", "xen"))
    libvirt_uri: str = _key("")
    cores: int = _key(0, _between(0, 4096), reload=True)
    memory_mb: int = _key(0, _between(0, 2**24), reload=True)
    disk_gb: int = _key(0, _between(0, 2**20), reload=True)
    pending_timeout: int = _key(600, _between(10, 86400), reload=True)
    start_timeout: int = _key(120, _between(10, 3600), reload=True)
    shutdown_grace: int = _key(5, _between(0, 600), reload=True)
    shutdown_timeout: int = _key(120, _between(5, 3600), reload=True)
    reboot_timeout: int = _key(60, _between(5, 3600), reload=True)
    stop_keeps_disk: bool = _key(False, reload=True)
    stop_timeout: int = _key(60, _between(0, 3600), reload=True)
    terminated_kept: int = _key(3600, _between(0, 604800), reload=True)
    key_injection: bool = _key(True, reload=True)
    console_kb: int = _key(64, _between(1, 1024), reload=True)
    domain_xml_kvm: str = _key("", _absolute_or_none, reload=True)
    domain_xml_qemu: str = _key("", _absolute_or_none, reload=True)
    domain_xml_xen: str = _key("", _absolute_or_none, reload=True)
    hooks: Path = _key(Path("/etc/eucabox/hooks"), _absolute, reload=True)


@dataclass(frozen=True)
class NetworkSection:
    """How instances reach the network; an empty bridge means eucabox's own, with NAT."""

    mode: str = _key("STATIC", _one_of("STATIC", "SYSTEM"))
    bridge: str = _key("", _bridge_or_none)
    own_bridge: str = _key("eucabr0", _own_bridge)
    subnet: str = _key("auto", _subnet)
    addresses: str = _key("")
    dns: str = _key("")
    host_services: str = _key("", _host_services)


@dataclass(frozen=True)
class ImagesSection:
    """The image cache and the swap partition that instances of bundled images get."""

    cache_gb: int = _key(30, _between(1, 2**20), reload=True)
    swap_mb: int = _key(0, _between(0, 65536), reload=True)


@dataclass(frozen=True)
class BucketsSection:
    """The bucket store; an empty path is `buckets` in the data directory."""

    path: str = _key("", _absolute_or_none)
    durability: str = _key("commit", _one_of("commit", "relaxed"))
    kms_keys: str = _key("", _key_names, reload=True)
    access_log_seconds: int = _key(300, _between(1, 86400), reload=True)
    lifecycle_day_seconds: int = _key(86_400, _between(1, 86_400))


@dataclass(frozen=True)
class LimitsSection:
    """What each account may have at most; 0 means no limit."""

    instances: int = _key(0, _between(0, 2**20), reload=True)
    vcpus: int = _key(0, _between(0, 2**20), reload=True)
    images: int = _key(0, _between(0, 2**20), reload=True)
    security_groups: int = _key(500, _between(0, 2**20), reload=True)
    rules: int = _key(1000, _between(0, 2**20), reload=True)
    buckets: int = _key(0, _between(0, 2**20), reload=True)
    object_mb: int = _key(0, _between(0, 2**40), reload=True)
    bucket_mb: int = _key(0, _between(0, 2**40), reload=True)
    account_mb: int = _key(0, _between(0, 2**40), reload=True)


@dataclass(frozen=True)
class IamSection:
    """Accounts: which identity providers may have private addresses."""

    private_providers: str = _key("", _host_names, reload=True)

    @cached_property
    def private_hosts(self) -> frozenset[str]:
        """The names of these providers' hosts, in lower case."""
        return frozenset(words(self.private_providers.lower()))


@dataclass(frozen=True)
class MailSection:
    """The server that takes eucabox's letters, and who sends them; without a server none leave."""

    server: str = _key("", _host_or_none, reload=True)
    port: int = _key(0, _between(0, 65535), reload=True)
    tls: str = _key("starttls", _one_of("none", "starttls", "implicit"), reload=True)
    ca_file: str = _key("", _absolute_or_none, reload=True)
    login: str = _key("", reload=True)
    password: str = _key("", reload=True)
    password_file: str = _key("", _absolute_or_none, reload=True)
    sender: str = _key("", _mail_address_or_none, reload=True)
    administrator: str = _key("", _mail_address_or_none, reload=True)
    base_url: str = _key("", _base_url, reload=True)
    timeout: int = _key(30, _between(1, 600), reload=True)
    retry_hours: int = _key(96, _between(1, 720), reload=True)

    @property
    def port_number(self) -> int:
        """The server's port: the one that is set, or the usual one."""
        return self.port or {"none": 25, "starttls": 587, "implicit": 465}[self.tls]


@dataclass(frozen=True)
class SignUpSection:
    """Who may ask for an account, what they are asked, and how long codes and requests count."""

    open: bool = _key(True, reload=True)
    domains: str = _key("", _host_names, reload=True)
    fields: str = _key(", ".join(SIGN_UP_FIELDS), _sign_up_fields, reload=True)
    most_waiting: int = _key(100, _between(1, 1000), reload=True)
    request_days: int = _key(30, _between(1, 365), reload=True)
    confirm_hours: int = _key(72, _between(1, 720), reload=True)
    recover_minutes: int = _key(30, _between(5, 1440), reload=True)
    requests_per_hour: int = _key(20, _between(1, 10_000), reload=True)


@dataclass(frozen=True)
class Config:
    """All sections; the file that they came from (None: there is none); which of its drop-ins,
    or the file itself, each setting of `origins` is from, by section and key."""

    cloud: CloudSection = CloudSection()
    api: ApiSection = ApiSection()
    console: ConsoleSection = ConsoleSection()
    metadata: MetadataSection = MetadataSection()
    node: NodeSection = NodeSection()
    network: NetworkSection = NetworkSection()
    images: ImagesSection = ImagesSection()
    buckets: BucketsSection = BucketsSection()
    limits: LimitsSection = LimitsSection()
    iam: IamSection = IamSection()
    mail: MailSection = MailSection()
    sign_up: SignUpSection = SignUpSection()
    file: Path | None = None
    origins: Mapping[tuple[str, str], Path] = field(default_factory=dict, compare=False)

    @property
    def log_path(self) -> Path:
        """The file of the log."""
        return Path(self.cloud.log_file or self.cloud.data_dir / "log" / "eucabox.log")

    @property
    def base_url(self) -> str:
        """What the links in letters begin with, without a slash at its end."""
        return self.mail.base_url or self.console.url

    @property
    def bucket_root(self) -> Path:
        """The folder that holds the buckets."""
        return Path(self.buckets.path or self.cloud.data_dir / "buckets")

    @property
    def certified(self) -> tuple[str, ...]:
        """The names that the TLS certificate is for: the API's and, on HTTPS, the console's."""
        console = self.console
        names = (console.listen, *console.known_hosts) if console.is_https else ()
        return (*self.api.certified, *names)

    def get_origin(self, section: str, key: str) -> Path:
        """Return the file that a setting is from or, of a default, where it would be set."""
        return self.origins.get((section, key)) or self.file or DEFAULT_FILE

    def make_error(self, section: str, key: str, reason: str) -> ConfigError:
        """Return the error of a setting that does not fit, which names its file."""
        file = self.get_origin(section, key)
        return ConfigError(file=file, section=section, key=key, reason=reason)

    def list_settings(self) -> list[tuple[str, str, Any, Path]]:
        """Return section, key, value and file of every setting that is no default."""
        return [
            (section, key, getattr(getattr(self, section), key), file)
            for (section, key), file in self.origins.items()
        ]


SECTIONS: dict[str, Any] = {
    each.name: each.type for each in fields(Config) if each.name not in ("file", "origins")
}


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True
