// Whom the bench can measure.

export const brokerTitles = {
  clearbox: 'ClearBox',
  mosquitto: 'Mosquitto',
  aedes: 'aedes',
  prosody: 'Prosody',
  'prosody-live': 'Prosody without archive',
} as const

export type BrokerName = keyof typeof brokerTitles
export type PeerName = Exclude<BrokerName, 'clearbox'>

export function isBrokerName(text: string): text is BrokerName {
  return Object.hasOwn(brokerTitles, text)
}
