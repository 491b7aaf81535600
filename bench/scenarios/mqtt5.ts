// MQTT 5 with properties beside 3.1.1 without.
import { someProperties } from '../mqtt-packets.ts'
import { compare, comparisonRows, plainPairs } from './comparison.ts'
import type { Scenario } from './scenario.ts'

export const mqtt5: Scenario = {
  name: 'mqtt5',
  about: `${plainPairs.pairs} publishers → ${plainPairs.pairs} subscribers, QoS 0, window ${plainPairs.window}: with MQTT 3.1.1, then with MQTT 5 and ${someProperties.length} bytes of properties (content type, payload format, message expiry, two user properties). aedes 1 has no MQTT 5.`,
  rows: comparisonRows('3.1.1', '5', 1.3),
  peers: ['mosquitto'],
  run: (broker, seconds) => compare(broker, seconds, { options: { level: 5 } }),
}
