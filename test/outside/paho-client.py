"""What a paho-mqtt client sees, as one JSON object. Arguments: PORT USER PASSWORD VERSION (4 or 5) TOPIC."""
import collections
import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

port, user, password, version, topic = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
seen = {}


class Device:
    """One connection; what its callbacks were told waits in a queue for each kind."""

    def __init__(self, client_id, secret=password, clean=True):
        options = {} if version == 5 else {"clean_session": clean}
        self.events = collections.defaultdict(queue.Queue)
        self.client = mqtt.Client(client_id, protocol=version, **options)
        self.client.username_pw_set(user, secret)
        self.client.on_connect = lambda _c, _u, flags, code, *_: self.put("connect", (code, flags))
        self.client.on_subscribe = lambda _c, _u, _mid, codes, *_: self.put("subscribe", codes)
        self.client.on_publish = lambda _c, _u, _mid: self.put("publish", None)
        self.client.on_message = lambda _c, _u, message: self.put("message", message)
        more = {}
        if version == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 3600
            more = {"clean_start": clean, "properties": properties}
        self.client.connect("127.0.0.1", port, 30, **more)
        self.client.loop_start()
        self.code, self.flags = self.wait("connect")

    def put(self, what, value):
        self.events[what].put(value)

    def wait(self, what):
        return self.events[what].get(timeout=20)

    def subscribe(self, filter):
        self.client.subscribe(filter, 1)
        return [int(getattr(code, "value", code)) for code in self.wait("subscribe")]

    def publish(self, name, payload, retain=False):
        self.client.publish(name, payload, 1, retain)
        self.wait("publish")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def number(code):
    return int(getattr(code, "value", code))


device = Device("paho-main")
seen["connect"] = number(device.code)
seen["granted"] = device.subscribe(topic + "/#")
device.publish(topic + "/a", b"\x00\xff plain")
message = device.wait("message")
seen["plain"] = [message.topic, message.payload.hex(), message.qos, bool(message.retain)]

seen["streams"] = device.subscribe("u/%s/msg" % user) + device.subscribe("u/somebody/msg")
device.publish("u/%s/in" % user, "note to self")
message = device.wait("message")
seen["chat"] = json.loads(message.payload)["text"]
if version == 5:
    properties = dict(message.properties.UserProperty)
    seen["id in properties"] = properties["cb-id"] == json.loads(message.payload)["id"]

device.publish(topic + "/kept", "kept", retain=True)
late = Device("paho-late")
late.subscribe(topic + "/kept")
message = late.wait("message")
seen["retained"] = [message.payload.decode(), bool(message.retain)]
late.end()

sleeper = Device("paho-sleeper", clean=False)
sleeper.subscribe(topic + "/queue")
sleeper.end()
for i in range(3):
    device.publish(topic + "/queue", str(i))
sleeper = Device("paho-sleeper", clean=False)
flags = sleeper.flags
seen["session present"] = bool(flags["session present"])
seen["queued"] = [sleeper.wait("message").payload.decode() for _ in range(3)]
sleeper.end()
device.end()

stranger = Device("paho-stranger", secret="wrong")
seen["wrong password"] = number(stranger.code)
stranger.end()
print(json.dumps(seen))
