// The setting `listeners` (docs/configuration.md).
import { expect, it } from 'vitest'
import { readConfigText } from '../../broker/config-file.ts'
import { loadConfig } from '../../broker/config-load.ts'

function load(listeners: readonly object[], env: Readonly<Record<string, string>> = {}) {
  const all = { CLEARBOX_LISTENERS: JSON.stringify(listeners), ...env }
  return loadConfig({ file: 'none.yaml', fileRequired: false, env: all })
}

function faultsOf(listeners: readonly object[], env?: Readonly<Record<string, string>>): readonly string[] {
  const loaded = load(listeners, env)
  return 'faults' in loaded ? loaded.faults : []
}

const tcp = { name: 'a', protocol: 'mqtt', port: 2000 }
const unix = { name: 'b', protocol: 'mqtt', path: '/run/clearbox/mqtt.sock' }

it('takes ports and paths, each with what belongs to it', () => {
  const full = { bind: 'localhost', tls: {}, proxyProtocol: { from: '10.0.0.0/8' }, anonymous: 'on', maxConnections: 5 }
  const loaded = load([
    { ...tcp, ...full },
    { ...unix, mode: '600' },
  ])
  expect('faults' in loaded ? loaded.faults : loaded.config.listeners).toEqual([
    { ...tcp, ...full, bind: ['127.0.0.1'], proxyProtocol: { from: ['10.0.0.0/8'] }, anonymous: true },
    { ...unix, mode: '600' },
  ])
})

it.each([
  ['no place', { name: 'a', protocol: 'mqtt' }, 'either port or path'],
  ['two places', { ...tcp, path: '/x' }, 'either port or path'],
  ['another protocol', { ...tcp, protocol: 'xmpp' }, 'expected mqtt, found "xmpp"'],
  ['a port that is off', { ...tcp, port: 'off' }, 'a port from 0 to 65535'],
  ['a host name', { ...tcp, bind: 'example.org' }, 'an IP address or localhost'],
  ['a bad network', { ...tcp, proxyProtocol: { from: ['10.0.0.0/33'] } }, 'a network such as'],
  ['no proxies', { ...tcp, proxyProtocol: {} }, 'expected at least one|a list of texts'],
  ['a certificate without its key', { ...tcp, tls: { cert: 'x' } }, 'cert and key'],
  ['files that are not there', { ...tcp, tls: { cert: '/none/x', key: '/none/y' } }, 'found /none/x \\(ENOENT\\)'],
  ['a mode on a port', { ...tcp, mode: '660' }, 'no mode beside port'],
  ['a mode as a number, which YAML would read as decimal', { ...unix, mode: 660 }, 'in quotes'],
  ['a mode that is not octal', { ...unix, mode: '680' }, 'three octal digits'],
  ['a path of 104 bytes', { ...unix, path: `/${'x'.repeat(103)}` }, 'at most 103 bytes'],
  ['TLS at a path', { ...unix, tls: {} }, 'no bind, tls or proxyProtocol beside path'],
  ['an unknown key', { ...tcp, prot: 1 }, '.'],
])('refuses %s', (_name, listener, words) => {
  expect(faultsOf([listener]).join('\n')).toMatch(new RegExp(words))
})

it('refuses a name twice, and a path twice', () => {
  expect(faultsOf([tcp, { ...tcp, port: 2001 }])).toHaveLength(1)
  expect(faultsOf([unix, { ...unix, name: 'c' }])).toHaveLength(1)
})

it('a port is taken only where the addresses meet', () => {
  const at = (name: string, bind: string | readonly string[], port = 2000) => ({ ...tcp, name, bind, port })
  const taken = 'found 1883, which is that of mqtt.port'
  expect(faultsOf([{ ...tcp, port: 1883 }])).toEqual([
    expect.stringMatching(new RegExp(`^CLEARBOX_LISTENERS.* a: .*${taken}$`)),
  ])
  expect(faultsOf([at('a', '127.0.0.2', 1883)])).toEqual([])
  expect(faultsOf([at('a', '0.0.0.0', 1883)])).toHaveLength(1)
  expect(faultsOf([at('a', '127.0.0.2'), at('b', '127.0.0.3')])).toEqual([])
  expect(faultsOf([at('a', '127.0.0.2'), at('b', ['127.0.0.3', '127.0.0.2'])])).toHaveLength(1)
  expect(faultsOf([at('a', '::'), at('b', '127.0.0.2')])).toHaveLength(1)
  expect(faultsOf([at('a', ['::', '127.0.0.3']), at('b', '127.0.0.2')])).toEqual([])
  expect(faultsOf([at('a', '::1'), at('b', '0.0.0.0')])).toEqual([])
  expect(faultsOf([at('a', '127.0.0.2', 0), at('b', '127.0.0.2', 0)])).toEqual([])
})

it('a fault in the file has its line and column', () => {
  const yaml = 'listeners:\n  - name: a\n    protocol: mqtt\n    path: /x\n    mode: 660\n'
  expect(readConfigText(yaml, 'f').faults).toEqual([expect.stringMatching(/^f:5:11 listeners\.0\.mode: .*in quotes/)])
})
