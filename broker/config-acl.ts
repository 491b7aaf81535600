// The setting `acl`: rules of plain topics, as a list in the file or as JSON in the environment.
import { z } from 'zod'
import { toAccountName } from './account-name.ts'
import type { Found } from './config-found.ts'
import type { SettingKind } from './config-kinds.ts'
import { readJson, says, some, text, toSwitch } from './config-lists.ts'
import { isTopicFilter } from './mqtt/codec/topic-name.ts'
import { isReserved } from './topic.ts'
import type { TopicRule } from './types.ts'

const maxRules = 10_000

const action = z.enum(['publish', 'subscribe', 'both'], { error: says('publish, subscribe or both') })

const rule = z
  .strictObject(
    {
      allow: action.exactOptional(),
      deny: action.exactOptional(),
      user: some(text('the name of an account')).exactOptional(),
      role: some(z.enum(['admin', 'moderator', 'user'], { error: says('admin, moderator or user') })).exactOptional(),
      client: some(text('a client id, with * for any characters')).exactOptional(),
      anonymous: z.preprocess(toSwitch, z.boolean({ error: says('on or off') })).exactOptional(),
      topics: some(text('a filter of plain topics such as sensors/%u/#', isPlainFilter)),
    },
    { error: (issue) => (issue.code === 'unrecognized_keys' ? undefined : says('a rule with its keys')(issue)) },
  )
  .refine((value) => (value.allow === undefined) !== (value.deny === undefined), {
    error: () => 'expected either allow or deny',
    // Also beside other faults.
    when: ({ value }) => typeof value === 'object' && value !== null,
  })

export const acl: SettingKind<readonly TopicRule[]> = {
  name: 'list of rules (docs/configuration.md); in the environment as JSON',
  expected: 'a list of rules',
  schema: z.array(rule, { error: says('a list of rules') }).max(maxRules, `expected at most ${maxRules} rules`),
  toRaw: (written) => (typeof written === 'string' ? readJson(written) : written),
}

/** Whom the rules name must be able to exist in this domain. */
export function aclFaults(found: Found | undefined, domain: string): string[] {
  if (found === undefined) return []
  const names = (found.value as readonly TopicRule[]).flatMap(({ user = [] }) => user)
  return names
    .filter((name) => toAccountName(name, domain) === null)
    .map((name) => `${found.where}: expected the name of an account, found ${JSON.stringify(name)}`)
}

/** Chat has its own rules; nobody gets more of it, or of `$SYS`, here. */
function isPlainFilter(filter: string): boolean {
  return isTopicFilter(filter) && !isReserved(filter.split('/', 1)[0] ?? '') && Buffer.byteLength(filter) <= 0xffff
}
