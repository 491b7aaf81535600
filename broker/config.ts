// One table of settings → one frozen Config.
import type { LinkConfig } from './link-config.ts'
import type { ListenerConfig } from './listener-config.ts'
import type { TopicRule } from './types.ts'

/** A listener's port; 0 lets the system choose. */
export type Port = number | 'off'

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/** RFC 7518 §3.1, RFC 8037 §3.1. */
export type JwtAlgorithm = `${'HS' | 'RS' | 'PS' | 'ES'}${256 | 384 | 512}` | 'EdDSA'

export type Config = Readonly<{
  domain: string
  dataDir: string
  /** IP addresses; every listener is on each of them. */
  bind: readonly string[]
  mqtt: Readonly<{ port: Port; tlsPort: Port; anonymous: boolean; sysSeconds: number }>
  xmpp: Readonly<{ port: Port; tlsPort: Port }>
  http: Readonly<{
    port: Port
    tlsPort: Port
    /** Of /metrics alone; off: it is a path of HTTP. */
    metricsPort: Port
    /** Addresses and networks (CIDR) whose X-Forwarded-For and X-Forwarded-Proto are believed. */
    trustedProxies: readonly string[]
    /** Requests per minute, from one network and of one account. */
    ratePerAddress: number
    ratePerAccount: number
  }>
  /** `url` null: the embedded PostgreSQL, from `binDir` when it is given. */
  database: Readonly<{ url: string | null; binDir: string | null }>
  redis: Readonly<{ url: string | null }>
  admin: Readonly<{ password: string | null }>
  auth: Readonly<{
    jwtSecret: string | null
    /** Tokens of an issuer elsewhere: all null, or issuer, audience and one source of keys. */
    jwt: Readonly<{
      issuer: string | null
      audience: string | null
      /** PEM file with a public key, or a file with the secret of an HMAC; `alg` is its one algorithm. */
      keyFile: string | null
      alg: JwtAlgorithm | null
      /** URL of a JWK Set. */
      jwks: string | null
      accountClaim: string
    }>
  }>
  /** Failed logins that are free, and the longest wait after more. */
  login: Readonly<{ tries: number; addressTries: number; maxWaitSeconds: number }>
  audit: Readonly<{ retentionDays: number }>
  /** PEM files; both null: a self-signed certificate in the data folder. */
  tls: Readonly<{ cert: string | null; key: string | null }>
  log: Readonly<{ level: LogLevel }>
  registration: 'off' | 'open'
  /** Rules of plain topics; the first that says something decides. */
  acl: readonly TopicRule[]
  /** Beside those of the sections `mqtt`, `xmpp` and `http`. */
  listeners: readonly ListenerConfig[]
  /** Other MQTT brokers, and what is carried to and from them. */
  links: readonly LinkConfig[]
  /** What broker/limits.ts makes of them says what they mean. */
  limits: Readonly<{
    packetBytes: number
    topicBytes: number
    topicLevels: number
    topicAliases: number
    subscriptionsPerSession: number
    receiveMaximum: number
    sendWindow: number
    queueMessages: number
    queueBytes: number
    retainedMessages: number
    retainedBytes: number
    connections: number
    connectionsPerAccount: number | 'off'
    connectionsPerAddress: number | 'off'
    sessionsPerAccount: number | 'off'
    connectsPerSecond: number | 'off'
    publishesPerSecond: number | 'off'
    keepAliveSeconds: number | 'off'
    sessionExpirySeconds: number | 'off'
  }>
  /** Clients that come and go: so many lost connections in the window, and they stay outside. */
  flapping: Readonly<{ losses: number | 'off'; windowSeconds: number; banSeconds: number }>
  /** Chat messages per account: a stream over it is read no faster, HTTP answers 429. */
  quota: Readonly<{ perSecond: number; burst: number }>
}>
