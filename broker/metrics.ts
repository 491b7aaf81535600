// Every Prometheus metric, declared once. Hot paths raise plain numbers; a scrape reads them.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** Plain numbers that anyone raises and only the scrape reads (DESIGN §8, rule 9). */
export type Counters = {
  mqttConnections: number
  mqttSockets: number
  mqttConnects: number
  mqttPacketsReceived: number
  mqttPacketsSent: number
  mqttMessagesReceived: number
  mqttMessagesSent: number
  mqttBytesReceived: number
  mqttBytesSent: number
  mqttQos0Dropped: number
  queueDropped: number
  liveDropped: number
  followers: number
  linkSent: number
  linkReceived: number
  linkRefused: number
  sessionsExpired: number
  limitPacketBytes: number
  limitTopics: number
  limitSubscriptions: number
  limitRetained: number
  limitConnections: number
  limitSessions: number
  limitConnectRate: number
  limitPublishRate: number
  limitFlapping: number
  proxyFaults: number
  xmppConnections: number
  xmppStanzasReceived: number
  xmppStanzasSent: number
  chatAdmitted: number
  chatRepeated: number
  chatRefused: number
  loginSuccesses: number
  loginFailures: number
  loginHolds: number
  auditDropped: number
  overloadCloses: number
}

const declared: Record<keyof Counters, readonly [type: 'counter' | 'gauge', name: string, help: string]> = {
  mqttConnections: ['gauge', 'clearbox_mqtt_connections', 'Open MQTT connections'],
  mqttSockets: ['counter', 'clearbox_mqtt_sockets_total', 'Connections that MQTT clients have opened'],
  mqttConnects: ['counter', 'clearbox_mqtt_connects_total', 'CONNECT packets that were accepted'],
  mqttPacketsReceived: ['counter', 'clearbox_mqtt_packets_received_total', 'Packets of all kinds from MQTT clients'],
  mqttPacketsSent: ['counter', 'clearbox_mqtt_packets_sent_total', 'Packets of all kinds to MQTT clients'],
  mqttMessagesReceived: ['counter', 'clearbox_mqtt_messages_received_total', 'PUBLISH packets from clients'],
  mqttMessagesSent: ['counter', 'clearbox_mqtt_messages_sent_total', 'PUBLISH packets to clients'],
  mqttBytesReceived: ['counter', 'clearbox_mqtt_received_bytes_total', 'Bytes read from MQTT clients'],
  mqttBytesSent: ['counter', 'clearbox_mqtt_sent_bytes_total', 'Bytes written to MQTT clients'],
  mqttQos0Dropped: ['counter', 'clearbox_mqtt_qos0_dropped_total', 'QoS 0 messages dropped for a slow receiver'],
  queueDropped: ['counter', 'clearbox_mqtt_queue_dropped_total', 'Queued messages dropped because a queue was full'],
  liveDropped: [
    'counter',
    'clearbox_live_dropped_total',
    'What is never stored (typing, notices, presence of strangers), dropped for a slow receiver',
  ],
  followers: ['gauge', 'clearbox_followers', 'Streams of chat that sessions follow now, whatever their protocol'],
  linkSent: ['counter', 'clearbox_link_sent_total', 'Messages that links have sent to other brokers'],
  linkReceived: ['counter', 'clearbox_link_received_total', 'Messages that links have brought from other brokers'],
  linkRefused: [
    'counter',
    'clearbox_link_refused_total',
    'Messages that links did not carry: no topic of theirs, or they had been here already',
  ],
  sessionsExpired: [
    'counter',
    'clearbox_mqtt_sessions_expired_total',
    'Sessions that ended because nobody came back in time',
  ],
  limitPacketBytes: [
    'counter',
    'clearbox_limit_packet_bytes_total',
    'MQTT connections ended by a packet that was too large',
  ],
  limitTopics: ['counter', 'clearbox_limit_topics_total', 'Topics and filters refused because they were too long'],
  limitSubscriptions: [
    'counter',
    'clearbox_limit_subscriptions_total',
    'Subscriptions refused because a session had too many',
  ],
  limitRetained: ['counter', 'clearbox_limit_retained_total', 'Messages not retained because there were too many'],
  limitConnections: [
    'counter',
    'clearbox_limit_connections_total',
    'MQTT connections refused because an account or address had too many',
  ],
  limitSessions: ['counter', 'clearbox_limit_sessions_total', 'Sessions refused because an account had too many'],
  limitConnectRate: [
    'counter',
    'clearbox_limit_connect_rate_total',
    'MQTT connections refused because they came too fast',
  ],
  limitPublishRate: [
    'counter',
    'clearbox_limit_publish_rate_total',
    'Times that an MQTT connection was not read because it published too fast',
  ],
  limitFlapping: [
    'counter',
    'clearbox_limit_flapping_total',
    'MQTT connections refused because their client only came and went',
  ],
  proxyFaults: [
    'counter',
    'clearbox_proxy_faults_total',
    'Connections closed because a proxy did not begin them with a good PROXY header in time',
  ],
  xmppConnections: ['gauge', 'clearbox_xmpp_connections', 'Open XMPP streams'],
  xmppStanzasReceived: ['counter', 'clearbox_xmpp_stanzas_received_total', 'Stanzas from XMPP clients'],
  xmppStanzasSent: ['counter', 'clearbox_xmpp_stanzas_sent_total', 'Stanzas to XMPP clients'],
  chatAdmitted: ['counter', 'clearbox_chat_admitted_total', 'Chat messages stored'],
  chatRepeated: ['counter', 'clearbox_chat_repeated_total', 'Chat messages recognised as repeats by their key'],
  chatRefused: ['counter', 'clearbox_chat_refused_total', 'Chat messages refused by policy'],
  loginSuccesses: ['counter', 'clearbox_login_successes_total', 'Logins, all protocols'],
  loginFailures: ['counter', 'clearbox_login_failures_total', 'Logins with wrong credentials, all protocols'],
  loginHolds: ['counter', 'clearbox_login_holds_total', 'Waits that failed logins have brought about'],
  auditDropped: [
    'counter',
    'clearbox_audit_dropped_total',
    'Rows of the audit trail dropped because the store was away',
  ],
  overloadCloses: [
    'counter',
    'clearbox_overload_closes_total',
    'Connections closed because the store could not keep up',
  ],
}

export type Metrics = Readonly<{ registry: Registry; counters: Counters }>

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const keys = Object.keys(declared) as (keyof Counters)[]
  const counters = Object.fromEntries(keys.map((key) => [key, 0])) as Counters
  for (const key of keys) {
    const [type, name, help] = declared[key]
    const common = { name, help, registers: [registry] }
    if (type === 'gauge') {
      new Gauge({
        ...common,
        collect() {
          this.set(counters[key])
        },
      })
    } else {
      new Counter({
        ...common,
        collect() {
          this.reset()
          this.inc(counters[key])
        },
      })
    }
  }
  return { registry, counters }
}
