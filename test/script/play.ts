// Plays in plain text: who says what to the server, and what the server says to whom.
//
//   Title of the play, a sentence with its section
//   ==============================================
//   Romeo is romeo/orchard            an actor, an account of his own in every play, and the resource that he binds
//
//   Romeo connects                    over TLS, logged in and bound
//   Romeo sends                       what is indented below, as it stands
//       <presence/>
//   Romeo receives                    the very next stanza: these attributes and children, no others
//       <presence from='{Romeo}' to='{Romeo}'/>
//   Romeo receives nothing            the answer to a ping is the very next stanza
//   Romeo disconnects                 says goodbye; `breaks` tears the connection
//
// `{Romeo}` is the full address, `{romeo}` the bare one. In what is received, an attribute or text `{*}` may be anything,
// and `{=name}` is remembered as `{name}`. A child `<any-more/>` allows further children.
import { type Element, elementsOf, isElement, toXml } from '../../adapters/xmpp/element.ts'
import { parseXml } from '../../adapters/xmpp/xml.ts'
import type { TestBroker } from '../helpers/broker.ts'
import { domain, loginClient, type XmppClient } from './xmpp-client.ts'

type Act = Readonly<{ line: number; actor: string; verb: string; xml: string }>
type Role = Readonly<{ actor: string; local: string; resource: string }>
export type Play = Readonly<{ title: string; roles: readonly Role[]; acts: readonly Act[] }>

/** @throws Error that names the line */
export function readPlays(source: string): readonly Play[] {
  const lines = source.split('\n')
  const starts = lines.flatMap((line, at) => (/^=+$/.test(line) ? [at - 1] : []))
  return starts.map((start, i) => {
    const body = lines.slice(start + 2, starts[i + 1] ?? lines.length)
    return { title: lines[start] ?? '', roles: readRoles(body), acts: readActs(body, start + 3) }
  })
}

function readRoles(lines: readonly string[]): readonly Role[] {
  return lines.flatMap((line) => {
    const [, actor, local, resource] = /^(\w+) is (\w+)\/(\S+)$/.exec(line) ?? []
    return actor && local && resource ? [{ actor, local, resource }] : []
  })
}

function readActs(lines: readonly string[], firstLine: number): readonly Act[] {
  const acts: { line: number; actor: string; verb: string; xml: string }[] = []
  for (const [at, line] of lines.entries()) {
    const last = acts.at(-1)
    const [, actor, verb] = /^(\w+) (connects|sends|receives|receives nothing|disconnects|breaks)$/.exec(line) ?? []
    if (/^\s+\S/.test(line) && last) last.xml += line.trim()
    else if (actor && verb) acts.push({ line: firstLine + at, actor, verb, xml: '' })
    else if (line !== '' && !/^\w+ is |^#/.test(line)) throw new Error(`line ${firstLine + at}: ${line}`)
  }
  return acts
}

/** @throws Error that names the line which the server did not keep to */
export async function perform(play: Play, broker: TestBroker): Promise<void> {
  const names = new Map<string, string>()
  const accounts = new Map<string, string>()
  const clients = new Map<string, XmppClient>()
  for (const { actor, local, resource } of play.roles) {
    const name = accounts.get(local) ?? (await broker.account(local)).name
    accounts.set(local, name)
    names.set(local, `${name}@${domain}`).set(actor, `${name}@${domain}/${resource}`)
  }
  try {
    for (const act of play.acts) {
      await performAct(act, { play, broker, names, accounts, clients }).catch((fault: unknown) => {
        throw new Error(`line ${act.line}, ${act.actor} ${act.verb}: ${fault instanceof Error ? fault.message : fault}`)
      })
    }
  } finally {
    for (const client of clients.values()) client.destroy()
  }
}

type Stage = Readonly<{
  play: Play
  broker: TestBroker
  names: Map<string, string>
  accounts: ReadonlyMap<string, string>
  clients: Map<string, XmppClient>
}>

async function performAct({ actor, verb, xml }: Act, stage: Stage): Promise<void> {
  if (verb === 'connects') return connect(actor, stage)
  const client = stage.clients.get(actor)
  if (client === undefined) throw new Error('is not connected')
  if (verb === 'sends') client.write(fill(xml, stage.names))
  else if (verb === 'receives') expectMatch(await client.element(), xml, stage.names)
  else if (verb === 'receives nothing') expectNothing(await client.ping())
  else if (verb === 'disconnects') await client.close()
  else client.destroy()
}

async function connect(actor: string, { play, broker, accounts, clients }: Stage): Promise<void> {
  const role = play.roles.find((one) => one.actor === actor)
  const name = accounts.get(role?.local ?? '')
  if (role === undefined || name === undefined) throw new Error('has no role')
  clients.set(actor, await loginClient(broker.xmppPort, name, role.resource))
}

function fill(xml: string, names: ReadonlyMap<string, string>): string {
  return xml.replace(/\{(\w+)\}/g, (whole, name: string) => names.get(name) ?? whole)
}

function expectNothing(came: readonly Element[]): void {
  if (came.length > 0) throw new Error(`but there came ${came.map((element) => toXml(element)).join('')}`)
}

function expectMatch(came: Element, xml: string, names: Map<string, string>): void {
  const pattern = parseXml(fill(xml, names).replace(/^<(\w+)/, `<$1 xmlns='jabber:client'`))
  const wrong = mismatch(came, pattern, names)
  if (wrong !== null) throw new Error(`${wrong} in ${toXml(came)}`)
}

/** Null: it matches; names are remembered on the way. */
function mismatch(came: Element, pattern: Element, names: Map<string, string>): string | null {
  if (came.name !== pattern.name || came.ns !== pattern.ns) return `<${came.name}/> instead of <${pattern.name}/>`
  for (const key of new Set([...Object.keys(came.attrs), ...Object.keys(pattern.attrs)])) {
    if (key.startsWith('xmlns:')) continue
    const wrong = mismatchOfText(came.attrs[key], pattern.attrs[key], names)
    if (wrong !== null) return `${key}: ${wrong}`
  }
  return mismatchOfChildren(came, pattern, names)
}

function mismatchOfChildren(came: Element, pattern: Element, names: Map<string, string>): string | null {
  const isOpen = elementsOf(pattern).some(({ name }) => name === 'any-more')
  const wanted = elementsOf(pattern).filter(({ name }) => name !== 'any-more')
  const text = (element: Element) => element.children.filter((node) => !isElement(node)).join('')
  const wrongText = isOpen ? null : mismatchOfText(text(came), text(pattern), names)
  if (wrongText !== null) return wrongText
  const found = elementsOf(came)
  if (!isOpen && found.length !== wanted.length) return `${found.length} children instead of ${wanted.length}`
  for (const [at, child] of wanted.entries()) {
    const candidates = isOpen ? found : found.slice(at, at + 1)
    const wrongs = candidates.map((candidate) => mismatch(candidate, child, names))
    if (!wrongs.includes(null)) return wrongs[0] ?? `no <${child.name}/>`
  }
  return null
}

function mismatchOfText(
  came: string | undefined,
  wanted: string | undefined,
  names: Map<string, string>,
): string | null {
  const [, remembered] = /^\{=(\w+)\}$/.exec(wanted ?? '') ?? []
  if (remembered !== undefined && came !== undefined) names.set(remembered, came)
  if (came === wanted || (came !== undefined && (wanted === '{*}' || remembered !== undefined))) return null
  return `${JSON.stringify(came)} instead of ${JSON.stringify(wanted)}`
}
