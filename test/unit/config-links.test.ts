// The setting `links` (docs/configuration.md).
import { expect, it } from 'vitest'
import { loadConfig } from '../../broker/config-load.ts'
import { createLinkTopics } from '../../broker/mqtt/link-topics.ts'

const topics = [{ filter: 'a/#', direction: 'both' }]
const good = { name: 'site', url: 'mqtts://mq.example.org', username: 'x', password: 'hidden-word', topics }

function faultsOf(...links: readonly object[]): readonly string[] {
  const env = { CLEARBOX_LINKS: JSON.stringify(links) }
  const loaded = loadConfig({ file: 'none.yaml', fileRequired: false, env })
  return 'faults' in loaded ? loaded.faults : []
}

it('takes a link, and nothing that is no plain topic, or has a password in its URL, or a name twice', () => {
  expect(faultsOf(good)).toEqual([])
  expect(faultsOf(good, good)).not.toEqual([])
  const topic = (fields: object) => ({ ...good, topics: [{ filter: '#', direction: 'in', ...fields }] })
  expect(faultsOf(topic({ localPrefix: 'x/', remotePrefix: 'y/' }))).toEqual([])
  const bad = [
    topic({ filter: 'u/bob/in' }),
    topic({ filter: '$SYS/#' }),
    topic({ filter: '$share/a/b' }),
    topic({ filter: 'a/#/b' }),
    topic({ localPrefix: 'g/' }),
    topic({ remotePrefix: 'cb/' }),
    topic({ localPrefix: '+/' }),
    { ...good, url: 'mqtt://x:hidden-word@host' },
    { ...good, url: 'https://host' },
    { ...good, passwordFile: 'file' },
    { ...good, name: 'a/b' },
    { ...good, topics: [] },
    { ...good, passwort: 'hidden-word' },
  ]
  for (const link of bad) expect(faultsOf(link), JSON.stringify(link)).not.toEqual([])
  expect(bad.flatMap((link) => faultsOf(link)).join()).not.toContain('hidden-word')
})

it('renames by the first topic that fits; chat never becomes a plain topic, nor the other way round', () => {
  const { toLocal, toRemote } = createLinkTopics([
    { filter: 'a/+', direction: 'out', remotePrefix: 'r/' },
    { filter: '#', direction: 'in', remotePrefix: 'x/' },
    { filter: 'b/#', direction: 'both', localPrefix: 'l/' },
  ])
  expect(['a/1', 'a/1/2', 'l/b', 'l/b/c', 'b/c'].map(toRemote)).toEqual(['r/a/1', null, 'b', 'b/c', null])
  expect(['x/t', 'b/c', 'x/u/bob/in', 'x/$SYS/a', 'x/', 't'].map(toLocal)).toEqual([
    't',
    'l/b/c',
    null,
    null,
    null,
    null,
  ])
})
