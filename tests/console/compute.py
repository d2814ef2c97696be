"""A console whose cloud has a node and a network of words, and what tests do with its instances."""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from eucabox.config import NodeSection
from eucabox.console.site import Console
from eucabox.domains.capacity import Capacity
from eucabox.domains.usage_sampler import UsageSample
from eucabox.iam.caller import Caller
from eucabox.instance_states import InstanceState
from eucabox.state import State
from tests.actions.stand_ins import StandInNetwork, StandInNode, StandInUsage, add_image
from tests.console.conftest import Visit

HOSTILE = "<img src=x onerror=alert(1)>'\"&"
ROOM = NodeSection(cores=8, memory_mb=1024, disk_gb=100, stop_keeps_disk=True)
ID = re.compile(r"i-[0-9a-f]{17}")


class Samples(StandInUsage):
    """What guests used, as tests say it."""

    def __init__(self) -> None:
        self.kept: dict[str, list[UsageSample]] = {}

    def list_samples(self, instance_id: str, most: int) -> list[UsageSample]:
        return self.kept.get(instance_id, [])[-most:]


@dataclass
class SampledNode(StandInNode):
    """A node that has looked at its guests."""

    usage: Samples = field(default_factory=Samples)


class Compute:
    """The node, the network and the rows behind a visitor's pages."""

    def __init__(self, console: Console, state: State, user: Caller) -> None:
        cloud: Any = console.cloud
        cloud.config = dataclasses.replace(cloud.config, node=ROOM)
        self.node, self.network, self.state, self.user = (
            SampledNode(),
            StandInNetwork(),
            state,
            user,
        )
        cloud.node, cloud.network = self.node, self.network
        cloud.capacity = Capacity(cloud.config, state)
        self.image_id = str(add_image(state, user, name="debian")["image_id"])

    def launch(self, visit: Visit, **fields: Any) -> list[str]:
        """Launch by the form and return the ids that the next page tells."""
        form = {"image_id": self.image_id, "instance_type": "m1.tiny", "count": "1", **fields}
        sent = visit.post("/instances/launch", form)
        assert sent.status_code in (200, 303), sent.text
        page = sent if sent.status_code == 200 else visit.get(sent.location)
        note = page.text.partition('class="note good"')[2].partition("</div>")[0]
        return list(dict.fromkeys(ID.findall(note)))

    def set_state(self, instance_id: str, name: str) -> None:
        where = {"instance_id": instance_id}
        code = InstanceState(name).code
        self.state.update("instances", where, state=name, state_code=code, wanted="")

    def read(self, instance_id: str) -> dict[str, Any]:
        sql = "select * from instances where instance_id = ?"
        row = self.state.one(sql, (instance_id,))
        assert row is not None
        return row


def read_note(visit: Visit, location: str) -> str:
    """The notice on the page that a form led to."""
    page = visit.get(location).text
    return page.partition('<div class="note')[2].partition("</div>\n")[0]
