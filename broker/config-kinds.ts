// The kinds of values that a setting can have: what is accepted, in words and as a schema.
import { isIP, isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { toDomain } from './account-name.ts'
import { preparePassword } from './auth/scram.ts'
import type { JwtAlgorithm, LogLevel, Port } from './config.ts'
import { isLoopback } from './network.ts'

export type SettingKind<T> = Readonly<{
  /** For the documentation: the type, with its range. */
  name: string
  /** Completes "expected …" in a fault. */
  expected: string
  schema: z.ZodType<T>
  /** What a person wrote (YAML scalar or text of the environment) → what the schema judges. */
  toRaw?: (written: unknown) => unknown
  /** An accepted value in its one spelling. */
  toCanonical?: (value: T) => T
  /** The value never appears in a fault. */
  secret?: true
}>

const switches: Readonly<Record<string, boolean>> = { on: true, true: true, off: false, false: false }

export const port: SettingKind<Port> = {
  name: 'port `0`–`65535`, or `off`',
  expected: 'a port from 0 to 65535, or off',
  schema: z.union([z.literal('off'), z.int().min(0).max(65_535)]),
  toRaw: toNumber,
}

export const count: SettingKind<number> = {
  name: 'whole number from 1 to 1,000,000',
  expected: 'a whole number from 1 to 1000000',
  schema: z.int().min(1).max(1_000_000),
  toRaw: toNumber,
}

/** Inclusive. */
export function whole(min: number, max: number): SettingKind<number> {
  const range = `${format(min)} to ${format(max)}`
  return {
    name: `whole number from ${range}`,
    expected: `a whole number from ${range}`,
    schema: z.int().min(min).max(max),
    toRaw: toNumber,
  }
}

/** A limit that can be taken away. */
export function wholeOrOff(min: number, max: number): SettingKind<number | 'off'> {
  const range = `${format(min)} to ${format(max)}`
  return {
    name: `whole number from ${range}, or \`off\``,
    expected: `a whole number from ${range}, or off`,
    schema: z.union([z.literal('off'), z.int().min(min).max(max)]),
    toRaw: (written) => (written === false ? 'off' : toNumber(written)),
  }
}

const format = (value: number): string => value.toLocaleString('en')

/** Of a ring's places. */
export const powerOfTwo: SettingKind<number> = {
  name: '`16`, `32`, `64` … `1024`',
  expected: 'a power of two from 16 to 1024',
  schema: z
    .int()
    .min(16)
    .max(1024)
    .refine((value) => Number.isInteger(Math.log2(value))),
  toRaw: toNumber,
}

export const onOff: SettingKind<boolean> = {
  name: '`on` or `off`',
  expected: 'on or off',
  schema: z.boolean(),
  toRaw: (written) => (typeof written === 'string' ? (switches[written.toLowerCase()] ?? written) : written),
}

export const domain: SettingKind<string> = {
  name: 'domain name or address',
  expected: 'a domain name such as example.org, localhost or an IP address',
  schema: z.string().refine((value) => toDomain(value) !== null),
  toCanonical: (value) => toDomain(value) ?? value,
}

// One address, whatever the resolver puts first.
export const toBindAddress = (value: string): string => (value === 'localhost' ? '127.0.0.1' : value)

export const bind: SettingKind<readonly string[]> = {
  name: 'IP addresses or `localhost`, separated by commas',
  expected: 'IP addresses or localhost, each once, separated by commas',
  schema: list((values) => {
    const isEachGood = values.every((value) => isIP(toBindAddress(value)) !== 0)
    return isEachGood && values.length > 0 && new Set(values.map(toBindAddress)).size === values.length
  }),
  toRaw: toList,
  toCanonical: (values) => Object.freeze(values.map(toBindAddress)),
}

export const networks: SettingKind<readonly string[]> = {
  name: 'IP addresses and networks such as `10.0.0.0/8`, separated by commas',
  expected: 'IP addresses and networks such as 10.0.0.0/8, separated by commas',
  schema: list((values) => values.every(isNetwork)),
  toRaw: toList,
  toCanonical: (values) => Object.freeze([...values]),
}

export const requiredPath: SettingKind<string> = path()
export const optionalPath: SettingKind<string | null> = orNull(path())
export const databaseUrl = url('PostgreSQL URL', 'a URL such as postgres://user:password@host/database', [
  'postgres:',
  'postgresql:',
])
export const redisUrl = url('Redis URL', 'a URL such as redis://host:6379', ['redis:', 'rediss:'])

export const jwksUrl: SettingKind<string | null> = {
  name: 'URL with `https`, or with `http` to this machine',
  expected: 'a URL with https and without a password (http only to this machine)',
  schema: z.string().refine(isJwksUrl).nullable(),
}

export const claimName: SettingKind<string> = text()
export const optionalText: SettingKind<string | null> = orNull(text())

export const password: SettingKind<string | null> = {
  name: 'text',
  expected: 'a password without control characters, at most 1023 bytes',
  schema: z
    .string()
    .refine((value) => preparePassword(value) !== null)
    .nullable(),
  secret: true,
}

export const signingSecret: SettingKind<string | null> = {
  name: 'text, at least 32 bytes',
  expected: 'a text of at least 32 bytes',
  schema: z
    .string()
    .refine((value) => Buffer.byteLength(value) >= 32)
    .nullable(),
  secret: true,
}

export const jwtAlgorithm: SettingKind<JwtAlgorithm | null> = orNull(
  choice([
    'HS256',
    'HS384',
    'HS512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
  ]),
)
export const logLevel: SettingKind<LogLevel> = choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
export const registration: SettingKind<'off' | 'open'> = choice(['off', 'open'])

/** The whole list is judged at once: a fault names the setting, not one of its places. */
function list(isGood: (values: readonly string[]) => boolean): z.ZodType<readonly string[]> {
  const isList = (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.every((item) => typeof item === 'string')
  return z.custom<readonly string[]>((value) => isList(value) && isGood(value))
}

function toList(written: unknown): unknown {
  return typeof written === 'string' ? written.split(',').map((part) => part.trim()) : written
}

export function isNetwork(value: string): boolean {
  const [address = '', bits, ...more] = value.split('/')
  if (isIP(address) === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv6(address) ? 128 : 32))
}

export function toNumber(written: unknown): unknown {
  return typeof written === 'string' && /^\d+$/.test(written) ? Number(written) : written
}

function text(): SettingKind<string> {
  // As it stands in a token: no character of it is left out or added.
  const schema = z.string().refine((value) => value.trim() === value && value !== '' && value.length <= 1024)
  return { name: 'text', expected: 'a text of at most 1024 characters, without spaces at its ends', schema }
}

function choice<const T extends string>(options: readonly T[]): SettingKind<T> {
  const last = options.at(-1)
  return {
    name: options.map((option) => `\`${option}\``).join(', '),
    expected: `${options.slice(0, -1).join(', ')} or ${last}`,
    schema: z.enum(options),
    // A YAML `registration: false` means off.
    toRaw: (written) => (written === false ? 'off' : written),
  }
}

function path(): SettingKind<string> {
  const schema = z.string().refine((value) => value !== '' && !value.includes('\0'))
  return { name: 'path', expected: 'a path', schema, toCanonical: (value) => resolve(value) }
}

function orNull<T extends string>({ schema, toCanonical: toOne, ...kind }: SettingKind<T>): SettingKind<T | null> {
  const toCanonical = (value: T | null) => (value === null ? null : (toOne?.(value) ?? value))
  return { ...kind, schema: schema.nullable(), toCanonical }
}

function isJwksUrl(value: string): boolean {
  const {
    protocol,
    hostname,
    username,
    password: secret,
  } = URL.canParse(value) ? new URL(value) : new URL('about:blank')
  if (username !== '' || secret !== '') return false
  if (protocol === 'https:') return true
  const address = hostname.replace(/^\[|\]$/g, '')
  return protocol === 'http:' && (address === 'localhost' || (isIP(address) !== 0 && isLoopback(address)))
}

function url(name: string, expected: string, protocols: readonly string[]): SettingKind<string | null> {
  const fits = (value: string): boolean => URL.canParse(value) && protocols.includes(new URL(value).protocol)
  return { name, expected, schema: z.string().refine(fits).nullable(), secret: true }
}
