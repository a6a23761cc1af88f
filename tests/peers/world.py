"""Three phones and what stands between them: the edge, the PBX, both."""

import shutil

from baresip import Baresip
from pbx import Pbx
from rig.edge import REPOSITORY, Edge
from rig.net import Block, wait_until

LOGS = REPOSITORY / "target/peers"
CUSTOMER, OPERATOR, CONSULT = "1001", "1002", "1003"
CONFIGURATION = """\
[edge]
domain = "{edge}"
transfer = "{mode}"

[[listen]]
transport = "udp"
address = "{edge}:5060"

[[listen]]
transport = "tcp"
address = "{edge}:5060"

"""
BEHIND = """
[pbx]
uri = "sip:{pbx}:5060"
register = "through"
"""
ONLY_MD5 = """
[registrar]
digest = ["md5"]  # baresip 1.0 knows no other, and gives up where another is offered
"""
USER = """
[[user]]
name = "{user}"
password = "pw{user}"
"""
USERS = (CUSTOMER, OPERATOR, CONSULT)


class World:
    """Three phones, all of one kind or each of its own, with what stands between them.

    | mode | |
    |---|---|
    | native | the edge in front of the PBX; it joins its own legs |
    | refer | the same; it hands the REFER on to the PBX |
    | local | the edge alone: its own registrar and routing |
    | direct | the PBX alone: shows that the peers' side of a test is right |
    """

    def __init__(self, name, phones, mode, transport, media="", options=None, before=None):
        """`media`: more configuration, in which `{folder}` stands for the test's.
        `options`: more of a user's account on a baresip. `before`: done when the folder is there, and the edge not yet.
        A phone whose media the edge judges by its address is on 127.0.0.1, with ports of its own: baresip says in its
        description where it listens for SIP, and sends its audio from wherever the system likes."""
        kinds = phones if isinstance(phones, tuple) else (phones,) * len(USERS)
        more = {user: {"options": text} for user, text in (options or {}).items()}
        self.folder, self.mode = LOGS / name.replace("/", "-"), mode
        shutil.rmtree(self.folder, ignore_errors=True)
        if before:
            self.folder.mkdir(parents=True)
            before()
        self.block, self.parts = Block(), []
        self.pbx = self.edge = None
        try:
            registrar = self.block.host(10)
            if mode != "local":
                self.pbx = self.add(Pbx(registrar, USERS, self.folder))
                self.pbx.trace()
            if mode != "direct":
                registrar = self.block.host(1)
                self.edge = self.add(Edge(registrar, self._configuration(registrar, kinds, media), self.folder))
            self.phones = [self.add(kind(user, self._host(user, media), registrar, self.folder, transport, **self._ports(user, media),
                                    **more.get(user, {}))) for user, kind in zip(USERS, kinds)]
        except BaseException:
            self.stop()
            raise

    def _host(self, user, media):
        return "127.0.0.1" if media else self.block.host(21 + USERS.index(user))

    def _ports(self, user, media):
        return {"first": 12_000 + 150 * self.block.number + 50 * USERS.index(user)} if media else {}

    def _configuration(self, edge, kinds, media):
        text = CONFIGURATION.format(edge=edge, mode="refer" if self.mode == "refer" else "native")
        text += media.format(folder=self.folder)
        # Before the PBX, too: it challenges the edge's own call to a transfer's target as it does every phone's.
        text += "".join(USER.format(user=user) for user in USERS)
        if self.pbx:
            return text + BEHIND.format(pbx=self.pbx.address)
        return text + (ONLY_MD5 if Baresip in kinds else "")

    def add(self, part):
        self.parts.append(part)
        return part

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        self.block.release()

    def registered(self):
        """Each phone is known to the PBX, and reached through the edge (RFC 3327)."""
        for user, phone in zip(USERS, self.phones):
            phone.registered()
            if not self.pbx:
                continue
            bindings = self.pbx.contacts(user)
            check(len(bindings) == 1, f"the PBX has {len(bindings)} bindings of {user}: {bindings}")
            if self.edge:
                check(self.edge.host in bindings[0]["path"], f"the binding of {user} does not lead through the edge: {bindings[0]}")

    def held(self, wanted, mark, events):
        """The edge says the same of its legs as of its events."""
        if self.edge:
            self.edge.wait_for_events(events, 8, start=mark)
            listed = self.edge.calls()
            check(any(leg["held"] for call in listed for leg in call["legs"]) == wanted, f"legs {'' if wanted else 'still '}held? {listed}")

    def joined(self):
        """Customer and consult are joined, in the eyes of the PBX and of the edge."""
        # By itself the edge joins its two legs towards the PBX, whose two calls stay: four channels. Where it hands the
        # REFER on, the PBX joins the two itself and drops the operator's channels: two.
        channels = {"native": 4, "refer": 2, "direct": 2, "local": 0}[self.mode]
        if self.pbx and not wait_until(lambda: self.pbx.channels() == (channels, channels // 2), 8, every=0.3):
            raise AssertionError(f"the PBX has {self.pbx.channels()} channels and calls, not {(channels, channels // 2)}:\n"
                                 + self.pbx.show_channels())
        if not self.edge:
            return
        self.edge.wait_for_events(["transfer.requested", "transfer.completed"], 8)
        check("transfer.failed" not in self.edge.names(), f"a transfer failed: {self.edge.names()}")
        # Every leg of the edge ends in a channel of the PBX or in one of the two phones.
        legs = channels + 2
        if not wait_until(lambda: sum(len(call["legs"]) for call in self.edge.calls()) == legs, 8, every=0.3):
            raise AssertionError(f"the edge has not {legs} legs: {self.edge.calls()}")
        listed = self.edge.calls()
        check(all(call["state"] == "connected" and len(call["legs"]) == 2 for call in listed), f"not every call is connected: {listed}")
        check(all(leg["state"] == "confirmed" and not leg["held"] for call in listed for leg in call["legs"]),
              f"a leg is held or not confirmed: {listed}")

    def empty(self, turn):
        """Nothing is left when everybody has hung up."""
        if self.pbx and not wait_until(lambda: self.pbx.channels() == (0, 0), 8, every=0.3):
            raise AssertionError(f"the PBX still has channels:\n{self.pbx.show_channels()}")
        turn.pass_on()
        if self.edge:
            # Over UDP a transaction outlives its call by 64*T1 (RFC 3261 §17).
            self.edge.wait_until_empty(45)
            check(self.edge.alive(), f"the edge died: {self.edge.tail()}")


def check(condition, reason):
    if not condition:
        raise AssertionError(reason)


def answered_call(customer, operator):
    for phone in (customer, operator):
        phone.forget()
    customer.dial(OPERATOR)
    operator.wait("CALL_INCOMING")
    operator.accept()
    for phone in (customer, operator):
        phone.wait("CALL_ESTABLISHED")
    listen(customer, operator)


def listen(one, other):
    hears(one, other)
    hears(other, one)


def hears(ear, mouth):
    hears_tone(ear, mouth.tone, mouth.user)


def hears_tone(ear, hertz, whose):
    check(wait_until(lambda: ear.hears(hertz), 8, every=0.3), f"{ear.user} does not hear {whose} ({hertz} Hz)")
