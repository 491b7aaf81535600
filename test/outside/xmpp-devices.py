"""Two devices of one person and one of another, with slixmpp: what they see, as one JSON object. Argument: PORT.

XEP-0077 registers both accounts, XEP-0198 survives a torn connection, XEP-0280 copies, XEP-0313 catches up.
"""
import asyncio
import json
import ssl
import sys

import slixmpp

port = int(sys.argv[1])
seen = {}


class Device(slixmpp.ClientXMPP):
    """Events wait in a queue; nothing else goes on of its own accord."""

    def __init__(self, jid, password, registers=False):
        super().__init__(jid, password)
        self.events = asyncio.Queue()
        self.acknowledged = 0
        for plugin in ("xep_0030", "xep_0059", "xep_0198", "xep_0199", "xep_0203", "xep_0280", "xep_0297", "xep_0313"):
            self.register_plugin(plugin)
        if registers:
            self.register_plugin("xep_0077")
            self.add_event_handler("register", self.on_register)
            self._always_send_everything = True  # slixmpp 1.8 keeps back what it asks before its login.
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for name in ("session_start", "session_resumed", "disconnected", "message", "carbon_sent", "carbon_received"):
            self.add_event_handler(name, lambda data, name=name: self.events.put_nowait((name, data)))
        self.add_event_handler("stanza_acked", self.on_acked)
        self.connect(("127.0.0.1", port), force_starttls=True)

    async def on_register(self, _):
        iq = self.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        await iq.send()
        self.events.put_nowait(("registered", None))

    def on_acked(self, stanza):
        if stanza.name == "message":
            self.acknowledged += 1

    async def until(self, name):
        while True:
            event, data = await asyncio.wait_for(self.events.get(), 20)
            if event == name:
                return data

    async def online(self):
        await self.until("session_start")
        self.send_presence()
        await self["xep_0199"].ping(self.boundjid.domain)

    def say(self, to, text):
        self.send_message(mto=to, mbody=text, mtype="chat")

    async def told(self, number):
        """`number` messages are acknowledged by XEP-0198."""
        while self.acknowledged < number:
            self["xep_0198"].request_ack()
            await asyncio.sleep(0.02)


async def archive(device, **options):
    results = []
    async for message in device["xep_0313"].iterate(**options):
        result = message["mam_result"]
        results.append((result["id"], result["forwarded"]["stanza"]["body"]))
    return results


async def play():
    phone = Device("romeo@localhost/phone", "secret-1", registers=True)
    await phone.until("registered")
    await phone.online()
    juliet = Device("juliet@localhost/balcony", "secret-2", registers=True)
    await juliet.until("registered")
    await juliet.online()
    desk = Device("romeo@localhost/desk", "secret-1")
    await desk.until("session_start")
    await desk["xep_0280"].enable()
    desk.send_presence()
    await desk["xep_0199"].ping("localhost")
    features = (await desk["xep_0030"].get_info(jid="romeo@localhost"))["disco_info"]["features"]
    seen["archive is offered"] = "urn:xmpp:mam:2" in features

    phone.say("juliet@localhost", "from the phone")
    await phone.told(1)
    seen["received"] = (await juliet.until("message"))["body"]
    seen["copy of sent"] = (await desk.until("carbon_sent"))["carbon_sent"]["body"]
    juliet.say("romeo@localhost/phone", "to the phone")
    seen["answer"] = (await phone.until("message"))["body"]
    seen["copy of received"] = (await desk.until("carbon_received"))["carbon_received"]["body"]

    phone.abort()
    await phone.until("disconnected")
    for i in range(3):
        juliet.say("romeo@localhost/phone", "meanwhile %d" % i)
    await juliet.told(4)
    phone.connect(("127.0.0.1", port), force_starttls=True)
    await phone.until("session_resumed")
    seen["after the resumption"] = [(await phone.until("message"))["body"] for _ in range(3)]
    phone.say("juliet@localhost", "back again")
    await phone.told(2)
    seen["back"] = (await juliet.until("message"))["body"]

    everything = await archive(desk, rsm={"max": 2})
    seen["archive"] = [text for _, text in everything]
    backwards = await archive(desk, reverse=True, rsm={"max": 4})
    seen["archive backwards"] = sorted(backwards) == sorted(everything) and len(set(backwards)) == 6
    theirs = await archive(juliet, with_jid=slixmpp.JID("romeo@localhost"), rsm={"max": 3})
    seen["one id for both"] = theirs == everything
    for device in (phone, desk, juliet):
        await device.disconnect()


asyncio.set_event_loop(asyncio.new_event_loop())
asyncio.get_event_loop().run_until_complete(asyncio.wait_for(play(), 50))
print(json.dumps(seen))
