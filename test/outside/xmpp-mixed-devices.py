"""Alice's phone and desk (slixmpp), her sensor (paho) and her scripts (REST) at once; Bob writes to her from XMPP and MQTT.

What they see, as one JSON object. Arguments: XMPP_PORT MQTT_PORT HTTP ALICE BOB; a password is the name and `-pw`.
"""
import asyncio
import json
import ssl
import sys
import urllib.request

import paho.mqtt.client as paho
import slixmpp

xmpp_port, mqtt_port, http, alice, bob = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
rounds, per_round = 3, 30
seen = {}


class Device(slixmpp.ClientXMPP):
    def __init__(self, name, resource):
        super().__init__("%s@localhost/%s" % (name, resource), name + "-pw")
        self.received, self.copied, self.sent, self.resumed = [], [], [], asyncio.Event()
        for plugin in ("xep_0030", "xep_0059", "xep_0198", "xep_0199", "xep_0203", "xep_0280", "xep_0297", "xep_0313"):
            self.register_plugin(plugin)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("message", lambda message: self.received.append(message["body"]))
        self.add_event_handler("carbon_received", lambda copy: self.copied.append(copy["carbon_received"]["body"]))
        self.add_event_handler("carbon_sent", lambda copy: self.sent.append(copy["carbon_sent"]["body"]))
        self.add_event_handler("session_resumed", lambda _: self.resumed.set())
        self.dial()

    def dial(self):
        self.connect(("127.0.0.1", xmpp_port), force_starttls=True)

    async def online(self):
        await self.wait_until("session_start", 20)
        await self.get_roster()
        await self["xep_0280"].enable()
        self.send_presence()
        await self["xep_0199"].ping("localhost")
        return self


async def until(condition, what):
    for _ in range(750):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise SystemExit("in vain: " + what)


def sensor(name, topic, on_text):
    client = paho.Client(name + "-sensor")
    client.username_pw_set(name, name + "-pw")
    ready = []
    client.on_message = lambda _client, _data, message: on_text(json.loads(message.payload))
    client.on_subscribe = lambda *_: ready.append(True)
    client.connect("127.0.0.1", mqtt_port)
    client.subscribe(topic, 1)
    while not ready:
        client.loop(1)
    client.loop_start()
    return client


def rest(path, body=None, token=None):
    request = urllib.request.Request(http + path, data=body and json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", "Bearer " + token)
    return json.load(urllib.request.urlopen(request))


async def archive(device):
    options = {"with_jid": slixmpp.JID(bob + "@localhost"), "rsm": {"max": 20}}
    results = [message["mam_result"] async for message in device["xep_0313"].iterate(**options)]
    return [(result["id"], result["forwarded"]["stanza"]["body"]) for result in results]


async def everyone_sends(phone, desk):
    """What one device of Alice sends, the others see, under one id."""
    sent = []
    mqtt = sensor(alice, "u/%s/sent" % alice, lambda envelope: sent.append((envelope["id"], envelope["text"])))
    token = rest("/v1/auth/login", {"username": alice, "password": alice + "-pw"})["accessToken"]
    mqtt.publish("u/%s/in" % bob, "by the sensor", 1).wait_for_publish()
    rest("/v1/messages", {"to": bob, "text": "by a script"}, token)
    phone.send_message(bob + "@localhost", "by the phone", mtype="chat")
    await until(lambda: len(desk.sent) == 3 and len(phone.sent) == 2 and len(sent) == 3, "copies of what was sent")
    seen["copies"] = {"phone": phone.sent, "desk": desk.sent}
    history = [(item["id"], item["text"]) for item in rest("/v1/history?with=%s&limit=50" % bob, token=token)["items"]]
    seen["one id"] = sorted(history) == sorted(sent) == sorted(await archive(desk))
    mqtt.disconnect()


async def roster_is_pushed(phone, desk):
    contact = bob + "@localhost"
    phone.update_roster(contact, name="Bob", groups=["Friends"])
    named = lambda device: contact in device.client_roster.keys() and device.client_roster[contact]["name"] == "Bob"
    await until(lambda: named(phone) and named(desk), "the new contact on both")
    seen["pushed"] = desk.client_roster[contact]["groups"]


async def phone_is_torn(phone, desk, other):
    mqtt, published = sensor(bob, "u/%s/msg" % bob, lambda _: None), []
    for torn in range(rounds):
        phone.resumed.clear()
        for i in range(per_round):
            text = "%d %d" % (torn, i)
            if i % 3 == 0:
                published.append(mqtt.publish("u/%s/in" % alice, text, 1))
            else:
                other.send_message("%s@localhost%s" % (alice, "/phone" if i % 3 == 1 else ""), text, mtype="chat")
            if i == per_round // 3:
                phone.abort()
            await asyncio.sleep(0.002)
        phone.dial()
        await asyncio.wait_for(phone.resumed.wait(), 20)
    await until(lambda: all(message.is_published() for message in published), "acknowledgements of MQTT")
    mqtt.disconnect()
    wanted = sorted("%d %d" % (torn, i) for torn in range(rounds) for i in range(per_round))
    await until(lambda: len(set(phone.received)) >= len(wanted), "all that came while the phone was torn")
    await until(lambda: len(set(desk.received + desk.copied)) >= len(wanted), "all of it on the desk")
    seen["phone, each once"] = sorted(phone.received) == wanted
    seen["desk, each once"] = sorted(desk.received + desk.copied) == wanted
    seen["in order"] = all(in_order(phone.received, rest_of) for rest_of in ([0], [1, 2]))
    archived = [text for _, text in await archive(desk)]
    seen["archive, each once"] = sorted(archived[3:]) == wanted


def in_order(texts, senders):
    numbers = [tuple(map(int, text.split())) for text in texts]
    mine = [number for number in numbers if number[1] % 3 in senders]
    return mine == sorted(mine)


async def play():
    phone, desk = await Device(alice, "phone").online(), await Device(alice, "desk").online()
    other = await Device(bob, "desk").online()
    await everyone_sends(phone, desk)
    await roster_is_pushed(phone, desk)
    await phone_is_torn(phone, desk, other)
    for device in (phone, desk, other):
        await device.disconnect()


asyncio.set_event_loop(asyncio.new_event_loop())
asyncio.get_event_loop().run_until_complete(asyncio.wait_for(play(), 50))
print(json.dumps(seen))
