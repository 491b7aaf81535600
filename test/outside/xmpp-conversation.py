"""One XMPP device for tests: commands on standard input, what happens as JSON lines on standard output.

Commands: `presence`, `away`, `subscribe TO`, `remove TO`, `send TO TEXT`, `ping`, `roster`, `disco`, `quit`. Arguments: JID PASSWORD PORT MECHANISM.
"""
import asyncio
import json
import ssl
import sys

import slixmpp


def tell(**what):
    print(json.dumps(what), flush=True)


class Device(slixmpp.ClientXMPP):
    def __init__(self, jid, password, mechanism):
        super().__init__(jid, password, sasl_mech=mechanism or None)
        for plugin in ("xep_0030", "xep_0199", "xep_0203", "xep_0359"):
            self.register_plugin(plugin)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_all_auth", lambda _: tell(event="failed"))
        self.add_event_handler("disconnected", lambda reason: tell(event="disconnected"))
        self.add_event_handler("message", self.on_message)
        for change in ("available", "away", "unavailable", "subscribed", "unsubscribed"):
            self.add_event_handler(f"presence_{change}", self.on_presence)
        self.add_event_handler("stream_error", lambda error: tell(event="error", condition=error["condition"]))

    async def on_start(self, _):
        tell(event="online", jid=self.boundjid.full)
        reader = asyncio.StreamReader()
        await asyncio.get_event_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode():
            await self.obey(*line.rstrip("\n").split(" ", 2))
        self.disconnect()

    async def obey(self, command, to="", text=""):
        if command == "presence":
            self.send_presence()
        elif command == "away":
            self.send_presence(pshow="away", pstatus="tea")
        elif command == "subscribe":
            self.send_presence_subscription(pto=to, ptype="subscribe")
        elif command == "remove":
            await self.del_roster_item(to)
        elif command == "send":
            self.send_message(mto=to, mbody=text, mtype="chat")
        elif command == "ping":
            await self["xep_0199"].ping(self.boundjid.domain)
            tell(event="pong")
        elif command == "roster":
            await self.get_roster()
            contacts = {jid: self.client_roster[jid]["subscription"] for jid in self.client_roster}
            contacts.pop(self.boundjid.bare, None)
            tell(event="roster", size=len(self.client_roster), contacts=contacts)
        elif command == "disco":
            info = await self["xep_0030"].get_info(jid=self.boundjid.domain)
            tell(event="disco", features=sorted(info["disco_info"]["features"]))
        elif command == "quit":
            self.disconnect()

    def on_presence(self, presence):
        tell(event=presence["type"], sender=presence["from"].full, status=presence["status"])

    def on_message(self, message):
        stanza_id = message.xml.find("{urn:xmpp:sid:0}stanza-id")
        delay = message.xml.find("{urn:xmpp:delay}delay")
        tell(
            event="message",
            sender=message["from"].full,
            type=message["type"],
            body=message["body"],
            id=None if stanza_id is None else stanza_id.get("id"),
            delay=None if delay is None else delay.get("stamp"),
        )


def main():
    jid, password, port, mechanism = sys.argv[1:5]
    asyncio.set_event_loop(asyncio.new_event_loop())
    device = Device(jid, password, mechanism)
    device.connect(("127.0.0.1", int(port)), disable_starttls=False, force_starttls=True)
    device.process(forever=False)


main()
