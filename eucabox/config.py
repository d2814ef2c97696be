"""eucabox.conf and its drop-ins, read once into frozen values; each key has default and check."""

import configparser
import ipaddress
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from eucabox.atomic_files import name_user, write_atomic
from eucabox.errors import ConfigError, ConfigUnreadable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_FILE = Path("/etc/eucabox/eucabox.conf")
NAMES = "names.json"  # in the data directory: what a cloud was called at its first start
# What clouds were called before such a file was kept: clients can't make this region of the zone.
OLD_NAMES = {"region": "eucabox", "zone": "eucabox-1a"}
TRUE, FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}([.](?!-)[A-Za-z0-9-]{1,63})*", re.ASCII)
PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
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
class Config:
    """All sections; the file that they came from (None: there is none); which of its drop-ins,
    or the file itself, each setting of `origins` is from, by section and key."""

    cloud: CloudSection = CloudSection()
    api: ApiSection = ApiSection()
    metadata: MetadataSection = MetadataSection()
    node: NodeSection = NodeSection()
    network: NetworkSection = NetworkSection()
    images: ImagesSection = ImagesSection()
    buckets: BucketsSection = BucketsSection()
    limits: LimitsSection = LimitsSection()
    iam: IamSection = IamSection()
    file: Path | None = None
    origins: Mapping[tuple[str, str], Path] = field(default_factory=dict, compare=False)

    @property
    def log_path(self) -> Path:
        """The file of the log."""
        return Path(self.cloud.log_file or self.cloud.data_dir / "log" / "eucabox.log")

    @property
    def bucket_root(self) -> Path:
        """The folder that holds the buckets."""
        return Path(self.buckets.path or self.cloud.data_dir / "buckets")

    def get_origin(self, section: str, key: str) -> Path:
        """Return the file that a setting is from or, of a default, where it would be set."""
        return self.origins.get((section, key)) or self.file or DEFAULT_FILE

    def make_error(self, section: str, key: str, reason: str) -> ConfigError:
        """Return the error of a setting that does not fit, which names its file."""
        return _error(self.get_origin(section, key), section, key, reason)

    def list_settings(self) -> list[tuple[str, str, Any, Path]]:
        """Return section, key, value and file of every setting that is no default."""
        return [
            (section, key, getattr(getattr(self, section), key), file)
            for (section, key), file in self.origins.items()
        ]


SECTIONS: dict[str, Any] = {
    each.name: each.type for each in fields(Config) if each.name not in ("file", "origins")
}


def load(path: Path | None = None) -> Config:
    """Read an INI file and its drop-ins into a Config; None reads /etc/eucabox/eucabox.conf where
    it exists. Drop-ins are the files *.conf of FILE.d, in order of name: the last one counts.

    Raises ConfigError that names the file, the section and the key.
    """
    file = path or DEFAULT_FILE
    there = path is not None or file.exists()
    values: dict[str, dict[str, object]] = {}
    origins: dict[tuple[str, str], Path] = {}
    for each in ([file] if there else []) + _list_drop_ins(file):
        for section, key, value in _read(each):
            values.setdefault(section, {})[key] = value
            origins[section, key] = each
    read = {name: kind(**values.get(name, {})) for name, kind in SECTIONS.items()}
    config = Config(**read, file=file if there else None, origins=origins)
    return _name_cloud(config, values.get("cloud", {}))


def _list_drop_ins(file: Path) -> list[Path]:
    folder = file.with_name(f"{file.name}.d")
    try:
        names = sorted(each.name for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise ConfigUnreadable(file=folder, reason=_explain(problem)) from None
    return [folder / name for name in names if name.endswith(".conf") and name[0] != "."]


def _explain(problem: OSError) -> str:
    if not isinstance(problem, PermissionError):
        return str(problem.strerror)
    return f"{problem.strerror}. Let the user {name_user(os.geteuid())} read it, such as by chmod"


def keep_names(config: Config) -> None:
    """Note what a cloud is called that starts for the first time, for all later ones."""
    names = {"region": config.cloud.region, "zone": config.cloud.zone}
    write_atomic(config.cloud.data_dir / NAMES, json.dumps(names).encode(), 0o644)


def _name_cloud(config: Config, given: Collection[str]) -> Config:
    """Give region and zone, where the file does not, the names that the cloud has had since its
    first start; a new one's fit: clients make the region of the zone by leaving its letter out.
    """
    cloud = config.cloud
    names = _read_names(cloud.data_dir)
    if not names and "region" in given:
        names = {"zone": f"{cloud.region}a"}
    elif not names and "zone" in given:
        names = {"region": cloud.zone[:-1] if cloud.zone[-1].isalpha() else cloud.zone}
    names |= {key: getattr(cloud, key) for key in given if key in OLD_NAMES}
    region, zone = names.get("region", cloud.region), names.get("zone", cloud.zone)
    return replace(config, cloud=replace(cloud, region=region, zone=zone))


def _read_names(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / NAMES).read_bytes()))
    except (OSError, ValueError):
        return OLD_NAMES.copy() if _is_there(folder / "eucabox.db") else {}


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a folder that this user can't look into
        return False


def reloadable(section: "DataclassInstance") -> list[str]:
    """Return the names of a section's keys that a running eucabox takes over on SIGHUP."""
    return [each.name for each in fields(section) if each.metadata["reload"]]


def _parse(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(file.read_text("utf-8"), source=str(file))
    except OSError as problem:
        raise ConfigUnreadable(file=file, reason=_explain(problem)) from None
    except UnicodeDecodeError:
        raise ConfigUnreadable(file=file, reason="it is not UTF-8") from None
    except configparser.MissingSectionHeaderError as problem:
        reason = f"line {problem.lineno} comes before any [section]"
        raise ConfigUnreadable(file=file, reason=reason) from None
    except configparser.Error as problem:
        raise ConfigUnreadable(file=file, reason=" ".join(str(problem).split())) from None
    return parser


def _read(file: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the section, the key and the value of each line of one file."""
    parser = _parse(file)
    for section in parser.sections():
        if section not in SECTIONS:
            reason = f"no such section; there are {', '.join(SECTIONS)}"
            raise _error(file, section, "", reason)
        keys = {each.name: each for each in fields(SECTIONS[section])}
        for key, text in parser[section].items():
            if key not in keys:
                raise _error(file, section, key, f"no such key; there are {', '.join(keys)}")
            yield section, key, _value(file, section, keys[key], text.strip())


def _value(file: Path, section: str, key: Field[Any], text: str) -> object:
    try:
        value = _convert(type(key.default), text)
    except ValueError as problem:
        raise _error(file, section, key.name, f"{text!r} {problem}") from None
    check = key.metadata["check"]
    reason = check(value) if check else ""
    if reason:
        raise _error(file, section, key.name, f"{text!r} {reason}")
    return value


def _convert(kind: type, text: str) -> object:
    if kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError("must be yes or no")
        return text.lower() in TRUE
    if kind is int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError("must be a whole number")
        return int(text)
    return kind(text)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _error(file: Path, section: str, key: str, reason: str) -> ConfigError:
    return ConfigError(file=file, section=section, key=key, reason=reason)
