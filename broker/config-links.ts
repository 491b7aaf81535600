// The setting `links`: other MQTT brokers, as a list in the file or as JSON in the environment.
import { z } from 'zod'
import type { SettingKind } from './config-kinds.ts'
import type { LinkConfig } from './link-config.ts'
import { isTopicFilter, isTopicName } from './mqtt/codec/topic-name.ts'
import { isShared } from './shared-filter.ts'
import { isReserved } from './topic.ts'

const maxLinks = 100

/** No fault shows what was written: it may be a password. */
const says = (expected: string) => ({ error: `expected ${expected}` })

function text(expected: string, isGood: (value: string) => boolean = (value) => value !== ''): z.ZodType<string> {
  return z.string(says(expected)).refine(isGood, says(expected))
}

const prefix = text(
  'a prefix of plain topics without wildcards, such as site1/',
  (value) => value === '' || (isTopicName(value) && isShort(value) && isPlain(value)),
)

const topic = z
  .strictObject({
    filter: text('a filter of topics', (value) => isTopicFilter(value) && !isShared(value) && isShort(value)),
    direction: z.enum(['in', 'out', 'both'], says('in, out or both')),
    qos: z.union([z.literal(0), z.literal(1), z.literal(2)], says('0, 1 or 2')).exactOptional(),
    localPrefix: prefix.exactOptional(),
    remotePrefix: prefix.exactOptional(),
  })
  .refine(({ filter, localPrefix = '', remotePrefix = '' }) => {
    return isPlain(localPrefix + filter) && isPlain(remotePrefix + filter)
  }, says('plain topics on both sides: nothing below u/, g/, cb/ or $'))

const link = z
  .strictObject({
    name: text('a name of at most 64 letters, digits, dots, hyphens and underscores', (value) =>
      /^[\w.-]{1,64}$/.test(value),
    ),
    url: text('a URL such as mqtts://host:8883, without a user', isLinkUrl),
    username: text('a user name').exactOptional(),
    password: text('a password').exactOptional(),
    passwordFile: text('a path').exactOptional(),
    ca: text('a path').exactOptional(),
    clientId: text('a client id').exactOptional(),
    protocolVersion: z.union([z.literal(4), z.literal(5)], says('4 or 5')).exactOptional(),
    account: text('the name of an account').exactOptional(),
    topics: z.array(topic, says('a list of topics')).min(1, 'expected at least one topic, found none'),
  })
  .refine(({ password, passwordFile }) => password === undefined || passwordFile === undefined, {
    error: 'expected either password or passwordFile',
  })
  .refine(
    ({ username, password, passwordFile }) => username !== undefined || (password ?? passwordFile) === undefined,
    {
      error: 'expected a username with the password',
    },
  )

export const links: SettingKind<readonly LinkConfig[]> = {
  name: 'list of links (docs/configuration.md); in the environment as JSON',
  expected: 'a list of links, each with a name of its own',
  schema: z
    .array(link, says('a list of links'))
    .max(maxLinks, `expected at most ${maxLinks} links`)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, says('links with names of their own')),
  toRaw: (written) => (typeof written === 'string' ? readJson(written) : written),
  secret: true,
}

function isPlain(topicOrFilter: string): boolean {
  return !isReserved(topicOrFilter.split('/', 1)[0] ?? '')
}

function isShort(value: string): boolean {
  return Buffer.byteLength(value) <= 1024 && !value.includes('\0')
}

function isLinkUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, password, pathname } = new URL(value)
  const isBare = username === '' && password === '' && (pathname === '' || pathname === '/')
  return (protocol === 'mqtt:' || protocol === 'mqtts:') && hostname !== '' && isBare
}

function readJson(written: string): unknown {
  try {
    return JSON.parse(written)
  } catch {
    return written
  }
}
