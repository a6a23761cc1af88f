"""Audio through the edge, by ear: after each step of a call a known tone goes in at one end and is found at the other.

Every phone plays a tone of its own, the hold music is another, so that who is heard is never in doubt.

| media | |
|---|---|
| relay | everything passes through the edge as it is |
| srtp | the customer's phone has SRTP with keys in the descriptions, the others plain RTP |
| dtls | the customer's phone has DTLS-SRTP and ICE, the others plain RTP |
"""

from baresip import LINE, MUSIC, Baresip, tone
from linphone import Linphone
from rig.net import wait_until
from world import CONSULT, CUSTOMER, LOGS, OPERATOR, World, answered_call, check, hears, hears_tone, listen

MEDIA = """
[media]
mode = "relay"
hold_music = "{folder}/music.wav"
"""
ACCOUNT = {"relay": "", "srtp": ";mediaenc=srtp-mand", "dtls": ";mediaenc=dtls_srtp;medianat=ice"}


def make(name, phones, mode, media):
    """The world, with music on the disk before the edge looks for it."""
    folder = LOGS / name.replace("/", "-")
    world = World(name, phones, mode, "udp", MEDIA, {CUSTOMER: ACCOUNT[media]},
                  before=lambda: tone(folder / "music.wav", MUSIC))
    for phone in world.phones:
        if isinstance(phone, Linphone):
            phone.register()
    world.registered()
    return world


def leg(world, user, which=0):
    """A leg of the edge's towards this user, the oldest first."""
    found = [leg["id"] for call in world.edge.calls() for leg in call["legs"] if f":{user}@" in leg["party"]]
    check(len(found) > which, f"no leg {which} of {user}: {world.edge.calls()}")
    return found[which]


def order(world, method, path, body=None):
    status, answer = world.edge.request(method, path, body)
    check(status in (200, 201, 202, 204), f"{method} {path} answered {status}: {answer}")
    return answer


def warm_transfer_heard(name, mode, media, turn):
    """RFC 5589 §7.3 asked for by the API, so that all three can be phones that record what they hear."""
    world = make(name, Baresip, mode, media)
    try:
        customer, operator, consult = world.phones
        answered_call(customer, operator)
        mark = world.edge.mark()
        order(world, "POST", f"/v1/legs/{leg(world, CUSTOMER)}/hold")
        world.edge.wait_for_events(["call.held"], 8, start=mark)
        hears_tone(customer, MUSIC, "the music")
        for phone in (operator, consult):
            phone.forget()
        operator.dial(CONSULT)
        consult.wait("CALL_INCOMING")
        consult.accept()
        operator.wait("CALL_ESTABLISHED")
        listen(operator, consult)
        hears_tone(customer, MUSIC, "the music")
        order(world, "POST", "/v1/transfers", {"transferor": leg(world, OPERATOR), "target": leg(world, OPERATOR, 1)})
        operator.wait("CALL_CLOSED")
        listen(customer, consult)
        check(wait_until(lambda: not operator.calls(), 8, every=0.3), f"the operator still has calls: {operator.calls()}")
        world.joined()
        customer.command("hangup")
        consult.wait("CALL_CLOSED")
        world.empty(turn)
    finally:
        world.stop()


def operators_warm_transfer_heard(name, mode, media, turn):
    """The same by REFER with Replaces from linphone-daemon: customer and consult can be listened to, the operator is only heard."""
    world = make(name, (Baresip, Linphone, Baresip), mode, media)
    try:
        customer, operator, consult = world.phones
        customer.dial(OPERATOR)
        first = operator.incoming()
        operator.answer(first)
        customer.wait("CALL_ESTABLISHED")
        operator.wait_for(["StreamsRunning"])
        operator.play(first)
        hears(customer, operator)
        operator.pause(first)
        operator.wait_for(["Paused"])
        hears_tone(customer, MUSIC, "the music")
        second = operator.call(CONSULT)
        consult.wait("CALL_INCOMING")
        consult.accept()
        operator.wait_for(["Paused", "StreamsRunning"])
        operator.play(second)
        hears(consult, operator)
        operator.transfer(first, second)
        operator.wait_for([])
        listen(customer, consult)
        world.joined()
        customer.command("hangup")
        consult.wait("CALL_CLOSED")
        world.empty(turn)
    finally:
        world.stop()


def lines_of_the_pbx(name, mode, media, turn):
    """Asterisk repeats what it hears at 600 and plays a tone at 601."""
    world = make(name, Baresip, mode, media)
    try:
        customer, _, _ = world.phones
        for line, hertz, what in (("600", customer.tone, "itself"), ("601", LINE, "the line's tone")):
            customer.forget()
            customer.dial(line)
            customer.wait("CALL_ESTABLISHED")
            hears_tone(customer, hertz, what)
            customer.command("hangup")
            check(wait_until(lambda: world.pbx.channels() == (0, 0), 8, every=0.3), "the PBX still has channels")
        world.empty(turn)
    finally:
        world.stop()


ALL = ("relay", "srtp", "dtls")
# A flow, what may stand between the phones, and whose media how.
FLOWS = ((warm_transfer_heard, ("local",), ALL), (operators_warm_transfer_heard, ("local", "native"), ALL),
         (lines_of_the_pbx, ("native",), ALL))
