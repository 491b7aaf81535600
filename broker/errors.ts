// Every refusal that a client can meet, and its word in each protocol: one table.

type Entry = Readonly<{
  http: number
  /** MQTT 5 reason code. */
  mqtt: number
  /** RFC 6120 §8.3.3 condition and its type. */
  xmpp: readonly [condition: string, type: 'auth' | 'cancel' | 'modify' | 'wait']
  sentence: string
}>

const table = {
  unauthenticated: {
    http: 401,
    mqtt: 0x86,
    xmpp: ['not-authorized', 'auth'],
    sentence: 'The credentials are missing or wrong.',
  },
  forbidden: { http: 403, mqtt: 0x87, xmpp: ['forbidden', 'auth'], sentence: 'This account may not do that.' },
  // One answer whether the receiver blocks, forbids or does not exist: no account probing.
  refused: {
    http: 403,
    mqtt: 0x87,
    xmpp: ['service-unavailable', 'cancel'],
    sentence: 'This receiver does not take messages from this account.',
  },
  'not-found': { http: 404, mqtt: 0x87, xmpp: ['item-not-found', 'cancel'], sentence: 'There is no such thing here.' },
  'bad-topic': {
    http: 400,
    mqtt: 0x90,
    xmpp: ['jid-malformed', 'modify'],
    sentence: 'The topic or address is not spelled as it must be.',
  },
  'bad-payload': {
    http: 400,
    mqtt: 0x99,
    xmpp: ['bad-request', 'modify'],
    sentence: 'The payload is not what this place accepts.',
  },
  'too-large': {
    http: 413,
    // 0x95 is not among the reason codes of PUBACK (MQTT 5 table 3-4).
    mqtt: 0x97,
    xmpp: ['policy-violation', 'modify'],
    sentence: 'The message is larger than this place accepts.',
  },
  'key-reused': {
    http: 422,
    mqtt: 0x99,
    xmpp: ['conflict', 'cancel'],
    sentence: 'The idempotency key was used before with other content.',
  },
  quota: {
    http: 429,
    mqtt: 0x97,
    xmpp: ['resource-constraint', 'wait'],
    sentence: 'A quota of this account is used up for now.',
  },
  // No table of reason codes knows failed logins; in CONNACK 0x9F says that it comes too often.
  throttled: {
    http: 429,
    mqtt: 0x9f,
    xmpp: ['policy-violation', 'wait'],
    sentence: 'Too many logins have failed; try again later.',
  },
  overload: {
    http: 503,
    mqtt: 0x89,
    xmpp: ['resource-constraint', 'wait'],
    sentence: 'The server cannot take this now; try again later.',
  },
  internal: {
    http: 500,
    mqtt: 0x83,
    xmpp: ['internal-server-error', 'cancel'],
    sentence: 'The server failed; the fault is logged.',
  },
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof table

/** A refusal with its code; `message` may say more than the table's sentence and is fit to be shown to the client. */
export class BrokerError extends Error {
  readonly code: ErrorCode
  /** When it makes sense to come back; null: not said. */
  readonly retryAfterMs: number | null

  constructor(code: ErrorCode, detail?: string, options: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(detail ?? table[code].sentence, options)
    this.name = 'BrokerError'
    this.code = code
    this.retryAfterMs = options.retryAfterMs ?? null
  }

  get http(): number {
    return table[this.code].http
  }

  get mqtt(): number {
    return table[this.code].mqtt
  }

  get xmpp(): Entry['xmpp'] {
    return table[this.code].xmpp
  }

  /** The table's sentence: the same for every occurrence (RFC 9457 `title`). */
  get title(): string {
    return table[this.code].sentence
  }
}
