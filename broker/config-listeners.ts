// The setting `listeners`: further ones, as a list in the file or as JSON in the environment.
import { isIP } from 'node:net'
import { z } from 'zod'
import { isNetwork, type SettingKind, toBindAddress, toNumber } from './config-kinds.ts'
import { readJson, says, some, text, toSwitch } from './config-lists.ts'
import type { ListenerConfig } from './listener-config.ts'

const maxListeners = 100
/** What every system takes, without the NUL (unix(7), macOS has the fewest). */
const maxPathBytes = 103

const file = text('a path', (value) => value !== '' && !value.includes('\0'))

const tls = z
  .strictObject({ cert: file.exactOptional(), key: file.exactOptional() }, section('cert and key, or {}'))
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'expected cert and key, or none of them')

const listener = z
  .strictObject(
    {
      name: text('a name of at most 64 letters, digits, dots, hyphens and underscores', (value) =>
        /^[\w.-]{1,64}$/.test(value),
      ),
      protocol: z.literal('mqtt', { error: says('mqtt') }),
      bind: some(text('an IP address or localhost', (value) => isIP(toBindAddress(value)) !== 0))
        .transform((values) => [...new Set(values.map(toBindAddress))])
        .exactOptional(),
      port: z.preprocess(toNumber, whole('a port from 0 to 65535', 0, 65_535)).exactOptional(),
      path: text(`a path of at most ${maxPathBytes} bytes`, isSocketPath).exactOptional(),
      mode: text("three octal digits in quotes, such as '660'", (value) => /^[0-7]{3}$/.test(value)).exactOptional(),
      tls: tls.exactOptional(),
      proxyProtocol: z
        .strictObject(
          { from: some(text('an IP address or a network such as 10.0.0.0/8', isNetwork)) },
          section('a section with from'),
        )
        .exactOptional(),
      anonymous: z.preprocess(toSwitch, z.boolean({ error: says('on or off') })).exactOptional(),
      maxConnections: z.preprocess(toNumber, whole('a whole number from 1 to 10000000', 1, 10_000_000)).exactOptional(),
    },
    section('a listener with its keys'),
  )
  .refine(({ port, path }) => (port === undefined) !== (path === undefined), 'expected either port or path')
  .refine(
    ({ path, bind, tls: secured, proxyProtocol }) => path === undefined || !(bind ?? secured ?? proxyProtocol),
    'expected no bind, tls or proxyProtocol beside path',
  )
  .refine(({ port, mode }) => port === undefined || mode === undefined, 'expected no mode beside port')

export const listeners: SettingKind<readonly ListenerConfig[]> = {
  name: 'list of listeners (docs/configuration.md); in the environment as JSON',
  expected: `a list of at most ${maxListeners} listeners, each with a name, and with a path, of its own`,
  schema: z
    .array(listener, { error: says('a list of listeners') })
    .max(maxListeners)
    .refine((all) => isEachOnce(all.map(({ name }) => name)) && isEachOnce(all.flatMap(({ path }) => path ?? []))),
  toRaw: (written) => (typeof written === 'string' ? readJson(written) : written),
}

function isSocketPath(value: string): boolean {
  return value !== '' && !value.includes('\0') && Buffer.byteLength(value) <= maxPathBytes
}

function isEachOnce(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

function whole(expected: string, min: number, max: number): z.ZodType<number> {
  const error = says(expected)
  return z.int({ error }).min(min, { error }).max(max, { error })
}

type Issue = Readonly<{ code?: string; input?: unknown }>

/** An unknown key inside is told with its own place. */
function section(expected: string): { error: (issue: Issue) => string | undefined } {
  return { error: (issue) => (issue.code === 'unrecognized_keys' ? undefined : says(expected)(issue)) }
}
