"""Audio through the edge, by ear: after each step of a call a known tone goes in at one end and is found at the other.

Every phone plays a tone of its own, the hold music is another, so that who is heard is never in doubt.

| media | |
|---|---|
| relay | everything passes through the edge as it is |
| srtp | the customer's phone has SRTP with keys in the descriptions, the others plain RTP |
| dtls | the customer's phone has DTLS-SRTP and ICE, the others plain RTP |
"""

from baresip import LINE, MUSIC, Baresip, tone
from linphonec import Linphonec
from rig.net import wait_until
from world import CONSULT, CUSTOMER, LOGS, OPERATOR, World, answered_call, check, hears_tone, listen

MEDIA = """
[media]
mode = "relay"
hold_music = "{folder}/music.wav"
"""
# What makes the customer's phone protect its audio so.
ACCOUNT = {
    Baresip: {"relay": "", "srtp": ";mediaenc=srtp-mand", "dtls": ";mediaenc=dtls_srtp;medianat=ice"},
    Linphonec: {"relay": "", "srtp": "media_encryption=srtp\nmedia_encryption_mandatory=1",
                "dtls": "media_encryption=dtls\nmedia_encryption_mandatory=1"},
}


def make(name, phone, mode, media):
    """The world, with music on the disk before the edge looks for it."""
    folder = LOGS / name.replace("/", "-")
    world = World(name, phone, mode, "udp", MEDIA, {CUSTOMER: ACCOUNT[phone][media]},
                  before=lambda: tone(folder / "music.wav", MUSIC))
    try:
        for linphone in world.phones if phone is Linphonec else ():
            linphone.register()
        world.registered()
    except BaseException:
        world.stop()
        raise
    return world


def protected(world, media):
    """The audio of the customer's phone is protected as it asked for, and everybody else's is not."""
    profile = {"relay": "RTP/AVP", "srtp": "RTP/SAVP", "dtls": "UDP/TLS/RTP/SAVP"}[media]
    seen = [(leg["party"], description.split("m=audio ")[1].split()[1].removesuffix("F"))
            for call in world.edge.calls() for leg in call["legs"]
            for description in (leg["description"], leg["sent_description"]) if description]
    wrong = [row for row in seen if row[1] != (profile if f":{CUSTOMER}@{world.edge.host}" == row[0].removeprefix("sip") else "RTP/AVP")]
    check(seen and not wrong, f"with {media}, legs and their profiles are {seen}")


def warm_transfer_heard(name, mode, media, turn):
    """RFC 5589 §7.3: hold, consultation, REFER with Replaces, as linphone does it."""
    world = make(name, Linphonec, mode, media)
    try:
        customer, operator, consult = world.phones
        customer.call(OPERATOR)
        first = operator.incoming()
        operator.answer(first)
        listen(customer, operator)
        protected(world, media)
        operator.pause(first)
        operator.wait_for(["Paused"])
        hears_tone(customer, MUSIC, "the music")
        second = operator.call(CONSULT)
        consult.answer(consult.incoming())
        listen(operator, consult)
        hears_tone(customer, MUSIC, "the music")
        operator.transfer(first, second)
        operator.wait_for([])
        listen(customer, consult)
        protected(world, media)
        world.joined()
        for number in customer.calls():
            customer.hang_up(number)
        for phone in world.phones:
            phone.wait_for([])
        world.empty(turn)
    finally:
        world.stop()


def blind_transfer_heard(name, mode, media, turn):
    """RFC 5589 §6.1 with baresip."""
    world = make(name, Baresip, mode, media)
    try:
        customer, operator, consult = world.phones
        answered_call(customer, operator)
        operator.forget()
        operator.transfer(CONSULT)
        consult.wait("CALL_INCOMING")
        consult.accept()
        consult.wait("CALL_ESTABLISHED")
        operator.wait("CALL_CLOSED")
        listen(customer, consult)
        protected(world, media)
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
            protected(world, media)
            customer.command("hangup")
            check(wait_until(lambda: world.pbx.channels() == (0, 0), 8, every=0.3), "the PBX still has channels")
        world.empty(turn)
    finally:
        world.stop()


ALL = ("relay", "srtp", "dtls")
# A flow, what may stand between the phones, and whose media how.
FLOWS = ((warm_transfer_heard, ("local", "native"), ALL), (blind_transfer_heard, ("local",), ALL),
         (lines_of_the_pbx, ("native",), ALL))
