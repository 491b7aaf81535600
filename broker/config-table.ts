// A table: every setting once. Schema, loader, environment, defaults and docs/configuration.md are made from it.
import type { Config } from './config.ts'
import { acl } from './config-acl.ts'
import * as kind from './config-kinds.ts'
import { links } from './config-links.ts'
import { listeners } from './config-listeners.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

type Leaf = string | number | boolean | null | readonly string[] | Config['acl'] | Config['links'] | Config['listeners']
type PathOf<T> = { [K in keyof T & string]: T[K] extends Leaf ? K : `${K}.${PathOf<T[K]>}` }[keyof T & string]
type ValueOf<T, P> = P extends `${infer K extends keyof T & string}.${infer Rest}`
  ? ValueOf<T[K], Rest>
  : P extends keyof T
    ? T[P]
    : never

/** Where a setting stands in Config and in the file: `mqtt.port`. */
export type SettingPath = PathOf<Config>

export type Setting<T> = Readonly<{ env: string; kind: kind.SettingKind<T>; default: T; doc: string }>

export const settings: { readonly [P in SettingPath]: Setting<ValueOf<Config, P>> } = {
  domain: {
    env: 'CLEARBOX_DOMAIN',
    kind: kind.domain,
    default: 'localhost',
    doc: 'The part of an address behind the `@`, and the name in the certificate.',
  },
  dataDir: {
    env: 'CLEARBOX_DATA_DIR',
    kind: kind.requiredPath,
    default: './data',
    doc: 'Where the embedded database and the certificate are kept. Made at the first start.',
  },
  bind: {
    env: 'CLEARBOX_BIND',
    kind: kind.bind,
    default: ['127.0.0.1'],
    doc: 'The addresses that every listener binds to; in the file also a list. `0.0.0.0` (IPv4) or `::` (by itself both) lets other machines connect.',
  },
  'mqtt.port': { env: 'CLEARBOX_MQTT_PORT', kind: kind.port, default: 1883, doc: 'MQTT over TCP.' },
  'mqtt.tlsPort': {
    env: 'CLEARBOX_MQTTS_PORT',
    kind: kind.port,
    default: 8883,
    doc: 'MQTT over TLS.',
  },
  'mqtt.anonymous': {
    env: 'CLEARBOX_MQTT_ANONYMOUS',
    kind: kind.onOff,
    default: false,
    doc: 'MQTT clients without a user name may connect; they see and send on plain topics only.',
  },
  'mqtt.sysSeconds': {
    env: 'CLEARBOX_MQTT_SYS_SECONDS',
    kind: kind.count,
    default: 10,
    doc: 'How often the topics below `$SYS` are published, under the names of Mosquitto; administrators may read them.',
  },
  'xmpp.port': { env: 'CLEARBOX_XMPP_PORT', kind: kind.port, default: 5222, doc: 'XMPP with STARTTLS.' },
  'xmpp.tlsPort': {
    env: 'CLEARBOX_XMPPS_PORT',
    kind: kind.port,
    default: 5223,
    doc: 'XMPP with TLS from the first byte.',
  },
  'http.port': {
    env: 'CLEARBOX_HTTP_PORT',
    kind: kind.port,
    default: 8080,
    doc: 'HTTP: REST, health and metrics, MQTT over WebSocket at `/mqtt`, XMPP over WebSocket at `/xmpp-websocket`.',
  },
  'http.tlsPort': {
    env: 'CLEARBOX_HTTPS_PORT',
    kind: kind.port,
    default: 8443,
    doc: 'The same over HTTPS.',
  },
  'http.metricsPort': {
    env: 'CLEARBOX_METRICS_PORT',
    kind: kind.port,
    default: 'off',
    doc: 'A port for `/metrics` alone, for whoever can reach it. `off`: `/metrics` is on the HTTP ports, for this machine and for administrators.',
  },
  'http.trustedProxies': {
    env: 'CLEARBOX_TRUSTED_PROXIES',
    kind: kind.networks,
    default: [],
    doc: 'Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; those of others are ignored.',
  },
  'http.ratePerAddress': {
    env: 'CLEARBOX_HTTP_RATE_PER_ADDRESS',
    kind: kind.count,
    default: 6000,
    doc: 'Requests per minute from one IP address (IPv6: one /64), loopback included; more are answered 429.',
  },
  'http.ratePerAccount': {
    env: 'CLEARBOX_HTTP_RATE_PER_ACCOUNT',
    kind: kind.count,
    default: 3000,
    doc: 'Requests per minute with tokens of one account; more are answered 429.',
  },
  'database.url': {
    env: 'CLEARBOX_DATABASE_URL',
    kind: kind.databaseUrl,
    default: null,
    doc: 'A PostgreSQL (14 or newer) to use instead of the embedded one.',
  },
  'database.binDir': {
    env: 'CLEARBOX_DATABASE_BIN_DIR',
    kind: kind.optionalPath,
    default: null,
    doc: 'Folder with the programs `postgres` and `initdb` (18) for the embedded database.',
  },
  'redis.url': {
    env: 'CLEARBOX_REDIS_URL',
    kind: kind.redisUrl,
    default: null,
    doc: 'Redis for several nodes. Accepted, not used yet.',
  },
  'admin.password': {
    env: 'CLEARBOX_ADMIN_PASSWORD',
    kind: kind.password,
    default: null,
    doc: 'Password of the account `admin` when the first start makes it. Unset: a random one is made and printed once.',
  },
  'auth.jwtSecret': {
    env: 'CLEARBOX_JWT_SECRET',
    kind: kind.signingSecret,
    default: null,
    doc: 'Signs the access tokens. Unset: a random one is made and kept in the database.',
  },
  'auth.jwt.issuer': {
    env: 'CLEARBOX_JWT_ISSUER',
    kind: kind.optionalText,
    default: null,
    doc: 'Who else may issue tokens (JWT) that log in on every protocol: their `iss`. Needs an audience, and a key or a key set. The account must exist.',
  },
  'auth.jwt.audience': {
    env: 'CLEARBOX_JWT_AUDIENCE',
    kind: kind.optionalText,
    default: null,
    doc: 'Whom these tokens must be for: one of their `aud`.',
  },
  'auth.jwt.keyFile': {
    env: 'CLEARBOX_JWT_KEY_FILE',
    kind: kind.optionalPath,
    default: null,
    doc: 'PEM file with the public key that they are signed with; or, for HS256, HS384 and HS512, a file whose content is the secret, without the line break at its end: at least 32, 48 and 64 bytes.',
  },
  'auth.jwt.alg': {
    env: 'CLEARBOX_JWT_ALG',
    kind: kind.jwtAlgorithm,
    default: null,
    doc: 'The one algorithm of that key.',
  },
  'auth.jwt.jwks': {
    env: 'CLEARBOX_JWT_JWKS',
    kind: kind.jwksUrl,
    default: null,
    doc: 'Instead of a key: the URL of a JWK Set (RFC 7517) with the public keys of the issuer. It is read again when it is 10 minutes old, and, at most every 30 seconds, for a key that is not known yet; while it cannot be reached the known keys go on.',
  },
  'auth.jwt.accountClaim': {
    env: 'CLEARBOX_JWT_ACCOUNT_CLAIM',
    kind: kind.claimName,
    default: 'sub',
    doc: 'The claim that names the account, as `local` or `local@domain`.',
  },
  'login.tries': {
    env: 'CLEARBOX_LOGIN_TRIES',
    kind: kind.count,
    default: 5,
    doc: 'Failed logins of an account from one IP address (IPv6: one /64) after which the next try must wait: a second, doubled by each further failure. All protocols count together; loopback is no exception.',
  },
  'login.addressTries': {
    env: 'CLEARBOX_LOGIN_ADDRESS_TRIES',
    kind: kind.count,
    default: 50,
    doc: 'The same for one IP address, whatever the accounts.',
  },
  'login.maxWaitSeconds': {
    env: 'CLEARBOX_LOGIN_MAX_WAIT_SECONDS',
    kind: kind.count,
    default: 900,
    doc: 'The longest wait after failed logins. Four times as long without a failure, and they are forgotten.',
  },
  'audit.retentionDays': {
    env: 'CLEARBOX_AUDIT_RETENTION_DAYS',
    kind: kind.count,
    default: 90,
    doc: 'How long the audit trail (logins, reading of histories, administration) is kept.',
  },
  'tls.cert': {
    env: 'CLEARBOX_TLS_CERT',
    kind: kind.optionalPath,
    default: null,
    doc: 'PEM file with the certificate and its chain. Unset: a self-signed one is made in the data folder.',
  },
  'tls.key': {
    env: 'CLEARBOX_TLS_KEY',
    kind: kind.optionalPath,
    default: null,
    doc: 'PEM file with the private key of the certificate.',
  },
  'log.level': {
    env: 'CLEARBOX_LOG_LEVEL',
    kind: kind.logLevel,
    default: 'info',
    doc: 'The least important lines that are still logged, as JSON on standard error.',
  },
  registration: {
    env: 'CLEARBOX_REGISTRATION',
    kind: kind.registration,
    default: 'off',
    doc: 'Whether strangers may make accounts: `open` lets XMPP clients do so (XEP-0077), five an hour from one IP address (IPv6: one /64), loopback without limit. They may use no plain topics.',
  },
  acl: {
    env: 'CLEARBOX_ACL',
    kind: acl,
    default: [],
    doc: 'Who may publish and subscribe on plain topics: the first rule that says something decides. SIGHUP reads it again. Without rules, and behind the last one: accounts that an administrator has made may use all, those that registered themselves none, anonymous clients all.',
  },
  listeners: {
    env: 'CLEARBOX_LISTENERS',
    kind: listeners,
    default: [],
    doc: 'More listeners for MQTT, each with its own address or Unix socket, certificate, proxies and limit.',
  },
  links: {
    env: 'CLEARBOX_LINKS',
    kind: links,
    default: [],
    doc: 'Links to other MQTT brokers: which plain topics are carried there and back.',
  },
  'limits.packetBytes': {
    env: 'CLEARBOX_LIMIT_PACKET_BYTES',
    kind: kind.whole(1024, 268_435_455),
    default: MiB,
    doc: 'The largest MQTT packet, which CONNACK announces; a larger one ends the connection with 0x95. A CONNECT may have 128 KiB.',
  },
  'limits.topicBytes': {
    env: 'CLEARBOX_LIMIT_TOPIC_BYTES',
    kind: kind.whole(32, 65_535),
    default: 4096,
    doc: 'The longest topic in UTF-8: 0x90 for a publish, 0x8F for a filter.',
  },
  'limits.topicLevels': {
    env: 'CLEARBOX_LIMIT_TOPIC_LEVELS',
    kind: kind.whole(4, 1024),
    default: 128,
    doc: 'The most levels of a topic; the same codes.',
  },
  'limits.topicAliases': {
    env: 'CLEARBOX_LIMIT_TOPIC_ALIASES',
    kind: kind.whole(0, 1024),
    default: 32,
    doc: 'Topic aliases that an MQTT 5 client may have on its connection; CONNACK announces it. A higher one ends the connection with 0x94.',
  },
  'limits.subscriptionsPerSession': {
    env: 'CLEARBOX_LIMIT_SUBSCRIPTIONS_PER_SESSION',
    kind: kind.whole(1, 1_000_000),
    default: 10_000,
    doc: 'More get 0x97.',
  },
  'limits.receiveMaximum': {
    env: 'CLEARBOX_LIMIT_RECEIVE_MAXIMUM',
    kind: kind.powerOfTwo,
    default: 64,
    doc: 'Publishes of a client that wait for their acknowledgement; CONNACK announces it. The next one ends an MQTT 5 connection with 0x93, a 3.1.1 client is read no further.',
  },
  'limits.sendWindow': {
    env: 'CLEARBOX_LIMIT_SEND_WINDOW',
    kind: kind.whole(1, 1024),
    default: 64,
    doc: 'Messages on their way to a client that it has not acknowledged; its own Receive Maximum may lower that.',
  },
  'limits.queueMessages': {
    env: 'CLEARBOX_LIMIT_QUEUE_MESSAGES',
    kind: kind.whole(1, 100_000_000),
    default: 100_000,
    doc: 'Queue of one persistent session; beyond it the oldest are dropped, counted and told on `u/{me}/err`.',
  },
  'limits.queueBytes': {
    env: 'CLEARBOX_LIMIT_QUEUE_BYTES',
    kind: kind.whole(KiB, 1024 * GiB),
    default: 64 * MiB,
    doc: 'The same by the bytes of payloads.',
  },
  'limits.retainedMessages': {
    env: 'CLEARBOX_LIMIT_RETAINED_MESSAGES',
    kind: kind.whole(1000, 100_000_000),
    default: 250_000,
    doc: 'Retained messages, all of which are in memory; more get 0x97 and are not kept.',
  },
  'limits.retainedBytes': {
    env: 'CLEARBOX_LIMIT_RETAINED_BYTES',
    kind: kind.whole(64 * KiB, 1024 * GiB),
    default: 256 * MiB,
    doc: 'The same by bytes.',
  },
  'limits.connections': {
    env: 'CLEARBOX_LIMIT_CONNECTIONS',
    kind: kind.whole(1, 10_000_000),
    default: 100_000,
    doc: 'Connections of each protocol; more are closed at once.',
  },
  'limits.connectionsPerAccount': {
    env: 'CLEARBOX_LIMIT_CONNECTIONS_PER_ACCOUNT',
    kind: kind.wholeOrOff(1, 10_000_000),
    default: 10_000,
    doc: 'MQTT connections of one account; more get 0x97 (3.1.1: 3).',
  },
  'limits.connectionsPerAddress': {
    env: 'CLEARBOX_LIMIT_CONNECTIONS_PER_ADDRESS',
    kind: kind.wholeOrOff(1, 10_000_000),
    default: 10_000,
    doc: 'MQTT connections from one IP address (IPv6: one /64), loopback included; more get 0x97 (3.1.1: 3).',
  },
  'limits.sessionsPerAccount': {
    env: 'CLEARBOX_LIMIT_SESSIONS_PER_ACCOUNT',
    kind: kind.wholeOrOff(1, 10_000_000),
    default: 10_000,
    doc: 'MQTT sessions of one account that outlive their connections; more get 0x97 (3.1.1: 3).',
  },
  'limits.connectsPerSecond': {
    env: 'CLEARBOX_LIMIT_CONNECTS_PER_SECOND',
    kind: kind.wholeOrOff(1, 1_000_000),
    default: 500,
    doc: 'MQTT connections that are made from one IP address (IPv6: one /64) per second; ten times as many at once after a rest. More get 0x9F (3.1.1: 3).',
  },
  'limits.publishesPerSecond': {
    env: 'CLEARBOX_LIMIT_PUBLISHES_PER_SECOND',
    kind: kind.wholeOrOff(1, 10_000_000),
    default: 'off',
    doc: 'Publishes on plain topics per connection; twice as many at once after a rest. A connection over it is read no faster, nothing is lost. REST has `http.ratePerAccount`.',
  },
  'limits.keepAliveSeconds': {
    env: 'CLEARBOX_LIMIT_KEEP_ALIVE_SECONDS',
    kind: kind.wholeOrOff(1, 65_535),
    default: 'off',
    doc: 'The longest keep alive of an MQTT 5 client, which CONNACK tells to whoever asks for more or for none. A 3.1.1 client cannot be told and keeps its own.',
  },
  'limits.sessionExpirySeconds': {
    env: 'CLEARBOX_LIMIT_SESSION_EXPIRY_SECONDS',
    kind: kind.wholeOrOff(1, 4_294_967_294),
    default: 'off',
    doc: 'How long an MQTT session outlives its connection at most, with its queue; CONNACK tells an MQTT 5 client that asks for more. Those of 3.1.1 otherwise never end.',
  },
  'flapping.losses': {
    env: 'CLEARBOX_FLAPPING_LOSSES',
    kind: kind.wholeOrOff(2, 1_000_000),
    default: 30,
    doc: 'An MQTT client (account and client id) that loses its connection so often within the window, or has it taken over, is kept out for a while: CONNACK 0x8A (3.1.1: 5). Who says DISCONNECT loses nothing.',
  },
  'flapping.windowSeconds': {
    env: 'CLEARBOX_FLAPPING_WINDOW_SECONDS',
    kind: kind.whole(1, 86_400),
    default: 60,
    doc: 'The window.',
  },
  'flapping.banSeconds': {
    env: 'CLEARBOX_FLAPPING_BAN_SECONDS',
    kind: kind.whole(1, 86_400),
    default: 300,
    doc: 'How long it is kept out.',
  },
  'quota.perSecond': {
    env: 'CLEARBOX_QUOTA_PER_SECOND',
    kind: kind.count,
    default: 20,
    doc: 'Chat messages per second and account; over XMPP presence and changes of a roster count, too. A stream over it is read no faster, HTTP answers 429; nothing is lost.',
  },
  'quota.burst': {
    env: 'CLEARBOX_QUOTA_BURST',
    kind: kind.count,
    default: 100,
    doc: 'Chat messages that an account may send at once after a rest.',
  },
}

export const settingPaths = Object.keys(settings) as SettingPath[]

/** A setting whose value type does not matter to the caller. */
export function settingAt(path: SettingPath): Setting<unknown> {
  return settings[path] as Setting<unknown>
}
