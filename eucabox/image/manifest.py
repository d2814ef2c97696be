"""Bundle manifests: reads and checks them; never touches a part."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox.errors import InvalidManifest
from eucabox.hypervisor.architecture import HOST
from eucabox.image import bundle_crypto, strict_xml

MAXIMUM = 8 * 2**20  # bytes; 50,000 parts fit
TYPES = ("machine", "kernel", "ramdisk")
YES = ("true", "yes")
DIGEST = re.compile("[0-9a-f]{40}")
LONGEST_WORD = 128  # characters of a name or an id
MOST_MAPPINGS = 64


@dataclass(frozen=True)
class ManifestPart:
    """A part's file name, which is also the end of its key, and the SHA-1 of its bytes in hex."""

    name: str
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a manifest says. Sizes are bytes; keys and ivs are RSA-sealed hex."""

    location: str
    raw: bytes
    signed: bytes
    signature: str
    name: str
    user: str
    image_type: str
    architecture: str
    kernel_id: str
    ramdisk_id: str
    block_device_mapping: Mapping[str, str]
    size: int
    bundled_size: int
    cloud_key: str
    cloud_iv: str
    parts: tuple[ManifestPart, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest's own bytes, in hex."""
        return hashlib.sha256(self.raw).hexdigest()


def parse(raw: bytes, location: str = "manifest") -> Manifest:
    """Read a manifest; `location` is what messages call it. Raises InvalidManifest."""
    if len(raw) > MAXIMUM:
        raise InvalidManifest(name=location, reason=f"it is larger than {MAXIMUM} bytes.")
    try:
        return _ManifestReader(location, raw, strict_xml.parse(raw)).manifest()
    except strict_xml.XmlError as problem:
        raise InvalidManifest(name=location, reason=f"{problem}.") from None


def verify(manifest: Manifest, certificates: Iterable[str]) -> str:
    """Return the PEM certificate whose owner signed the manifest; raises InvalidManifest."""
    if manifest.signature in ("", "UNSIGNED"):
        raise InvalidManifest(
            name=manifest.location,
            reason="it is not signed. Bundle again with your private key (--privatekey).",
        )
    for certificate in certificates:
        if bundle_crypto.is_signed_by(
            manifest.signed, manifest.signature, bundle_crypto.public_key(certificate)
        ):
            return certificate
    raise InvalidManifest(
        name=manifest.location,
        reason="its signature is by no active certificate of a user of this cloud, or the"
        " manifest was changed after signing. Bundle again with this cloud's credentials.",
    )


def open_key(manifest: Manifest, key: rsa.RSAPrivateKey) -> tuple[bytes, bytes]:
    """Return the AES key and iv with the cloud's private key; raises InvalidManifest."""
    try:
        return bundle_crypto.unseal(manifest.cloud_key, key), bundle_crypto.unseal(
            manifest.cloud_iv, key
        )
    except bundle_crypto.WrongKeyError:
        raise InvalidManifest(
            name=manifest.location,
            reason="its key was not encrypted for this cloud. Bundle again with the cloud"
            " certificate of this cloud (--ec2cert, EUCALYPTUS_CERT).",
        ) from None


class _ManifestReader:
    """Takes a manifest's tree apart, strictly."""

    def __init__(self, location: str, raw: bytes, root: strict_xml.Element) -> None:
        self.location, self.raw, self.root = location, raw, root
        if root.tag != "manifest":
            raise strict_xml.XmlError(f"its root element is {root.tag[:40]!r} and not 'manifest'")

    def manifest(self) -> Manifest:
        return Manifest(
            location=self.location,
            raw=self.raw,
            signed=self._bytes("machine_configuration") + self._bytes("image"),
            signature=self._text("signature"),
            name=self._text("image", "name"),
            user=self._word("image", "user"),
            image_type=self._type(),
            architecture=self._word("machine_configuration", "architecture") or HOST.ec2[0],
            kernel_id=self._word("machine_configuration", "kernel_id"),
            ramdisk_id=self._word("machine_configuration", "ramdisk_id"),
            block_device_mapping=self._mapping(),
            size=self._number("image", "size"),
            bundled_size=self._number("image", "bundled_size"),
            cloud_key=self._cloud_key(),
            cloud_iv=self._text("image", "ec2_encrypted_iv"),
            parts=self._parts(),
        )

    def _bytes(self, tag: str) -> bytes:
        element = self._need(tag)
        return self.raw[element.start : element.end]

    def _need(self, *path: str) -> strict_xml.Element:
        element = self.root.find(*path)
        if element is None:
            raise strict_xml.XmlError(f"it has no element {'/'.join(path)}")
        return element

    def _text(self, *path: str) -> str:
        element = self.root.find(*path)
        return element.text.strip() if element else ""

    def _word(self, *path: str) -> str:
        return _check_word(path[-1], self._text(*path))

    def _number(self, *path: str) -> int:
        text = self._need(*path).text.strip()
        if not re.fullmatch("[0-9]{1,18}", text):
            raise strict_xml.XmlError(f"its {path[-1]} is {text[:40]!r} and not a number of bytes")
        return int(text)

    def _type(self) -> str:
        stated = self._text("image", "type")
        if stated in TYPES[1:]:
            return stated
        machine = ("machine_configuration",)
        if self._text(*machine, "kernel_id").lower() in YES:
            return "kernel"
        if self._text(*machine, "ramdisk_id").lower() in YES:
            return "ramdisk"
        if stated:
            return "machine"
        name = self.location.rpartition("/")[2]
        by_name = {"vmlinuz": "kernel", "initrd": "ramdisk"}
        return next((kind for start, kind in by_name.items() if name.startswith(start)), "machine")

    def _mapping(self) -> dict[str, str]:
        mapping = self.root.find("machine_configuration", "block_device_mapping")
        devices = {}
        listed = mapping.all("mapping") if mapping else []
        if len(listed) > MOST_MAPPINGS:
            raise strict_xml.XmlError(f"it maps more than {MOST_MAPPINGS} devices")
        for each in listed:
            virtual, device = each.find("virtual"), each.find("device")
            if virtual and device:
                name = _check_word("virtual", virtual.text.strip())
                devices[name] = _check_word("device", device.text.strip())
        return devices

    def _cloud_key(self) -> str:
        element = self._need("image", "ec2_encrypted_key")
        algorithm = element.attributes.get("algorithm", "AES-128-CBC")
        if algorithm != "AES-128-CBC":
            raise strict_xml.XmlError(f"its key is for {algorithm[:40]!r} and not for AES-128-CBC")
        return element.text.strip()

    def _parts(self) -> tuple[ManifestPart, ...]:
        parts = self._need("image", "parts")
        elements = parts.all("part")
        count = parts.attributes.get("count", str(len(elements)))
        if count != str(len(elements)) or not elements:
            raise strict_xml.XmlError(f"it says {count[:20]!r} parts and lists {len(elements)}")
        by_index = {each.attributes.get("index", ""): each for each in elements}
        missing = [number for number in range(len(elements)) if str(number) not in by_index]
        if missing:
            raise strict_xml.XmlError(f"it lists no part {missing[0]}")
        listed = tuple(_part(number, by_index[str(number)]) for number in range(len(elements)))
        if len({part.name for part in listed}) != len(listed):
            raise strict_xml.XmlError("two of its parts have one name")
        return listed


def _check_word(name: str, text: str) -> str:
    if len(text) > LONGEST_WORD or not text.isprintable():
        raise strict_xml.XmlError(
            f"its {name} is no plain word of {LONGEST_WORD} characters at most"
        )
    return text


def _part(number: int, element: strict_xml.Element) -> ManifestPart:
    name, digest = element.find("filename"), element.find("digest")
    if name is None or digest is None:
        raise strict_xml.XmlError(f"its part {number} lacks a filename or a digest")
    if digest.attributes.get("algorithm", "SHA1") != "SHA1":
        raise strict_xml.XmlError(f"the digest of its part {number} is not SHA1")
    part = ManifestPart(name.text.strip(), digest.text.strip().lower())
    if not DIGEST.fullmatch(part.digest):
        raise strict_xml.XmlError(f"the digest of its part {number} is not 40 hex digits")
    if part.name in ("", ".", "..") or "/" in part.name or not part.name.isprintable():
        raise strict_xml.XmlError(
            f"its part {number} is named {part.name[:60]!r}; a part lies beside its manifest and"
            " its name has no slash"
        )
    return part
