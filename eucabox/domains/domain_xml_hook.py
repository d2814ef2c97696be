"""Lets the administrator's program change an instance's domain XML; never starts a domain."""

from pathlib import Path
from xml.etree.ElementTree import ParseError, tostring

from eucabox.config import Config
from eucabox.domains.admin_programs import run_program
from eucabox.domains.hook_facts import Facts
from eucabox.errors import DomainXmlRefused, ProgramFailed, ProgramUntrusted
from eucabox.hypervisor.domain import NAMESPACE, Domain

OWNER = f"metadata/{{{NAMESPACE}}}instance"


class DomainXml:
    """Hands each domain's XML to the program that the configuration names for the hypervisor."""

    def __init__(self, config: Config, facts: Facts) -> None:
        self.config = config
        self._facts = facts

    def adapt(self, hypervisor: str, domain: Domain, xml: str) -> str:
        """Return the XML to use: `xml` itself where no program is named.

        Raises DomainXmlRefused when the program fails, is late, or gives what is not this domain.
        """
        key = f"domain_xml_{hypervisor}"
        program = getattr(self.config.node, key, "")
        if not program:
            return xml
        try:
            facts = str(self._facts.write(domain.name))
            env = {"EUCABOX_INSTANCE": domain.name, "EUCABOX_FACTS": facts}
            adapted = run_program(Path(program), input=xml.encode(), env=env).decode("utf-8")
            _check(adapted, domain)
        except ProgramFailed as fault:
            reason = f"status {fault.facts['status']}: {fault.facts['reason']}"
        except ProgramUntrusted as fault:
            reason = str(fault.facts["reason"])
        except ValueError as problem:
            reason = str(problem)
        else:
            return _leave_one_screen(adapted)
        raise DomainXmlRefused(program=program, key=key, reason=reason)


def _leave_one_screen(xml: str) -> str:
    """Take our VNC screen away where the program gave the domain one too: QEMU has but one."""
    from defusedxml.ElementTree import fromstring

    root = fromstring(xml)
    devices = root.find("devices")
    screens = root.findall("devices/graphics[@type='vnc']")
    ours = [each for each in screens if each.find("listen[@type='none']") is not None]
    if devices is None or len(screens) < 2 or len(ours) == len(screens):
        return xml
    for each in ours:
        devices.remove(each)
    return str(tostring(root, encoding="unicode"))


def _check(xml: str, domain: Domain) -> None:
    """Raise ValueError, with what to correct, for XML that is not of this domain."""
    from defusedxml.common import DefusedXmlException  # few have such a program
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException) as problem:
        raise ValueError(f"its output is not XML: {problem}") from None
    if root.tag != "domain":
        raise ValueError(f"its output is a <{root.tag}> and not a <domain>")
    for tag, own in (("name", domain.name), ("uuid", domain.uuid)):
        value = (root.findtext(tag) or "").strip()
        if value.lower() != own.lower():
            raise ValueError(f"it changed <{tag}> from {own} to {value[:60]!r}; leave it")
    owners = [dict(each.attrib) for each in root.findall(OWNER)]
    if owners != [{"cloud": domain.cloud, "account": domain.account, "id": domain.name}]:
        raise ValueError(f"it changed or left out the <instance> of {NAMESPACE} in <metadata>")
