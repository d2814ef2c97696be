"""A manifest to be: writes and signs it as euca2ools does; never reads one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from eucabox.image import bundle_crypto
from eucabox.image.manifest import ManifestPart

VERSION = "2007-10-10"


@dataclass(frozen=True)
class ManifestDraft:
    """What a manifest is to say, before anything is sealed or signed."""

    name: str
    user: str
    image_type: str
    architecture: str
    kernel_id: str
    ramdisk_id: str
    block_device_mapping: Mapping[str, str]
    size: int
    bundled_size: int
    tar_digest: str
    key: bytes
    iv: bytes
    parts: Sequence[ManifestPart]


def write(
    draft: ManifestDraft, cloud: rsa.RSAPublicKey, user: rsa.RSAPublicKey, signer: rsa.RSAPrivateKey
) -> bytes:
    """Return a signed manifest, element for element as euca2ools 3.4 writes it."""
    signed = _machine(draft) + _image(draft, cloud, user)
    signature = _tag("signature", bundle_crypto.sign(signed.encode(), signer))
    bundler = _tag("name", "eucabox") + _tag("version", "1") + _tag("release", "0")
    head = _tag("version", VERSION) + f"<bundler>{bundler}</bundler>"
    document = f"<manifest>{head}{signed}{signature}</manifest>"
    return f"<?xml version='1.0' encoding='ASCII'?>\n{document}".encode("ascii")


def _machine(draft: ManifestDraft) -> str:
    inside = _tag("architecture", draft.architecture)
    mappings = sorted(draft.block_device_mapping.items())
    if mappings and draft.image_type == "machine":
        each = (
            f"<mapping>{_tag('virtual', virtual)}{_tag('device', device)}</mapping>"
            for virtual, device in mappings
        )
        inside += f"<block_device_mapping>{''.join(each)}</block_device_mapping>"
    kernel_id = "true" if draft.image_type == "kernel" else draft.kernel_id
    ramdisk_id = "true" if draft.image_type == "ramdisk" else draft.ramdisk_id
    inside += _tag("kernel_id", kernel_id) if kernel_id else ""
    inside += _tag("ramdisk_id", ramdisk_id) if ramdisk_id else ""
    return f"<machine_configuration>{inside}</machine_configuration>"


def _image(draft: ManifestDraft, cloud: rsa.RSAPublicKey, user: rsa.RSAPublicKey) -> str:
    aes = ' algorithm="AES-128-CBC"'
    sha1 = ' algorithm="SHA1"'
    parts = "".join(
        f'<part index="{index}">{_tag("filename", part.name)}'
        f"{_tag('digest', part.digest, sha1)}</part>"
        for index, part in enumerate(draft.parts)
    )
    return (
        f"<image>{_tag('name', draft.name)}{_tag('user', draft.user)}"
        f"{_tag('type', draft.image_type)}{_tag('digest', draft.tar_digest, sha1)}"
        f"{_tag('size', str(draft.size))}{_tag('bundled_size', str(draft.bundled_size))}"
        f"{_tag('ec2_encrypted_key', bundle_crypto.seal(draft.key, cloud), aes)}"
        f"{_tag('user_encrypted_key', bundle_crypto.seal(draft.key, user), aes)}"
        f"{_tag('ec2_encrypted_iv', bundle_crypto.seal(draft.iv, cloud))}"
        f"{_tag('user_encrypted_iv', bundle_crypto.seal(draft.iv, user))}"
        f'<parts count="{len(draft.parts)}">{parts}</parts></image>'
    )


def _tag(name: str, text: str, attributes: str = "") -> str:
    from xml.sax.saxutils import escape  # which loads a client of HTTP

    return f"<{name}{attributes}>{escape(text)}</{name}>"
