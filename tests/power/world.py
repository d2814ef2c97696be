"""What clients asked of a cloud whose power is cut afterwards, and what of it each cut must leave.

The clients work once. For a cut at some moment the world is what it was then: what was answered
by then is acknowledged, what was only sent may be there or not, what came later is unheard of.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.live.kills.history import NOTHING, UNKNOWN, Register, Write
from tests.live.kills.world import Made, World


@dataclass
class NewVersion:
    """A version, or a delete marker, that was asked for; without an id where nobody answered."""

    label: str
    key: str
    write: Write
    version_id: str = ""


@dataclass
class PowerWorld(World):
    """The kill loop's world, and rows: users, keys, groups, instances, settings of buckets."""

    rows: dict[tuple[str, str], Register] = field(default_factory=dict)
    new_versions: list[NewVersion] = field(default_factory=list)

    def row(self, kind: str, name: str) -> Register:
        """The register of a row, made when it is first named."""
        with self.lock:
            return self.rows.setdefault((kind, name), Register())

    def total(self) -> int:
        """How many requests were answered."""
        with self.lock:
            return self.counts.total()

    def acknowledged(self) -> list[float]:
        """The moments at which a client was told that a write is done."""
        return sorted(write.ended for write in self._writes() if 0 < write.ended < UNKNOWN)

    def _writes(self) -> Iterator[Write]:
        uploads = list(self.uploads.values())
        registers = [
            *self.objects.values(), *self.marks.values(), *self.rows.values(),
            *self.versions.values(), *(made.there for made in uploads),
            *(part for made in uploads for part in made.parts.values()),
        ]  # fmt: skip
        yield from (write for each in registers for write in each.writes)

    def at(self, moment: float, promise: float = 0) -> "PowerWorld":
        """The world as it was at a moment; of objects only what was acknowledged `promise`
        seconds earlier is sure."""
        sure = moment - promise
        view = PowerWorld(kinds=self.kinds, contents=self.contents)
        for place, register in self.objects.items():
            view.objects[place] = cut(register, moment, sure)
        for mark, register in self.marks.items():
            view.marks[mark] = cut(register, moment, sure)
        for row, register in self.rows.items():
            view.rows[row] = cut(register, moment, moment)
        for upload_id, made in self.uploads.items():
            if made.there.writes[0].began < moment:
                parts = {number: cut(part, moment, sure) for number, part in made.parts.items()}
                there = cut(made.there, moment, sure)
                view.uploads[upload_id] = Made(made.label, made.place, there, parts)
        for each in self.new_versions:
            if each.write.ended < sure:
                known = each.key, each.version_id
                view.versions[known] = cut(self.versions[known], moment, sure)
            elif each.write.began < moment:
                view.unnamed[each.label] = each.key
        return view


def cut(register: Register, moment: float, sure: float) -> Register:
    """A register as it was at a moment. What is acknowledged and not yet sure may be lost, with
    what it replaced or not: then what was there before it shows again, or nothing."""
    with register.lock:
        known = [each for each in register.writes if each.began < moment]
    left = [each if each.ended < sure else replace(each, ended=UNKNOWN) for each in known]
    young = [each for each in known if each.ended >= sure] if sure < moment else []
    return Register(left + [Write(NOTHING, each.began) for each in young[:1]])
