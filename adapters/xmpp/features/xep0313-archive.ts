// XEP-0313: Message Archive Management  https://xmpp.org/extensions/xep-0313.html
import type { Events } from '../../../broker/happening.ts'
import type { Archive, ArchivePageQuery, LogEntry } from '../../../broker/types.ts'
import { type ArchiveFilter, filterFields, mamNs, readFilter } from '../archive-filter.ts'
import { toForm } from '../data-form.ts'
import { childOf, type Element, el, escapeAttribute } from '../element.ts'
import type { ClientSession, Feature, IqAnswer, IqHandler } from '../feature.ts'
import { type Naming, toForwarded } from '../map.ts'
import { type PageRequest, readPageRequest, toPage } from '../result-set.ts'
import { stanzaError } from '../stanza.ts'

const maxPage = 250
/** Of stored bodies; a page that would be larger is cut short. */
const maxPageBytes = 512 * 1024

type Deps = Readonly<{ archive: Archive; naming: Naming; events: Events }>

/** Everything that is in the account's log, under the ids that all protocols know it by. */
export function createArchive({ archive, naming, events }: Deps): Feature {
  /** §4 */
  async function query(request: Element, session: ClientSession): Promise<IqAnswer> {
    const { account: owner, name } = session.principal
    const paging = readPageRequest(request)
    const filter = readFilter(request, naming.domain)
    if (paging === null || filter === null) return stanzaError('bad-request', 'modify')
    const head = await archive.head(owner)
    const wanted = await toQuery(archive, owner, filter, paging)
    if (wanted === 'missing') return stanzaError('item-not-found')
    const isCounted = paging.max === 0 || paging.index !== null
    const count = isCounted ? ((wanted && (await archive.count(owner, wanted))) ?? 0) : null
    const { entries, hasMore } = await pageOf(archive, owner, wanted, count ?? 0)
    events.record({ action: 'history.read', border: 'xmpp', account: owner, name, target: filter.peer?.name ?? null })
    const shown = childOf(request, 'flip-page') === undefined ? entries : entries.toReversed()
    for (const entry of shown) session.sendXml(toResult(entry, session, request.attrs.queryid, naming))
    const isAll = filter.peer === null && filter.ids === null && filter.end === null && filter.beforeId === null
    if (isAll && reachesHead(wanted, hasMore)) session.knowsArchive(head)
    return toFin(shown, { isComplete: !hasMore, index: paging.index, count })
  }

  return {
    name: 'archive',
    spec: 'XEP-0313',
    version: '1.1.1',
    setup(host) {
      for (const ns of [mamNs, `${mamNs}#extended`, 'http://jabber.org/protocol/rsm']) host.advertise(ns, 'account')
      host.onIq(
        'get',
        mamNs,
        'query',
        own(() => el('query', mamNs, {}, toForm(mamNs, filterFields))),
      )
      host.onIq(
        'set',
        mamNs,
        'query',
        own((iq, session) => query(childOf(iq.element, 'query', mamNs) ?? iq.element, session)),
      )
      host.onIq(
        'get',
        mamNs,
        'metadata',
        own((_iq, { principal }) => metadataOf(archive, principal.account)),
      )
      host.onIq(
        'get',
        mamNs,
        'prefs',
        own(() => prefs),
      )
      host.onIq(
        'set',
        mamNs,
        'prefs',
        own(() => prefs),
      )
    },
  }
}

async function pageOf(archive: Archive, owner: number, wanted: ArchivePageQuery | null, count: number) {
  if (wanted === null) return { entries: [], hasMore: false }
  // XEP-0059 §2.6: only the number is asked for.
  if (wanted.limit === 0) return { entries: [], hasMore: count > 0 }
  return archive.page(owner, wanted)
}

function toResult(entry: LogEntry, { address }: ClientSession, queryId: string | undefined, naming: Naming): string {
  const of = queryId === undefined ? '' : ` queryid='${escapeAttribute(queryId)}'`
  const result = `<result xmlns='${mamNs}' id='${entry.message.id}'${of}>${toForwarded(entry, naming, true)}</result>`
  return `<message to='${escapeAttribute(address)}'>${result}</message>`
}

/** §5 */
async function metadataOf(archive: Archive, owner: number): Promise<Element> {
  const [start, end] = await Promise.all(
    (['oldest', 'newest'] as const).map(async (order) => {
      const { entries } = await archive.page(owner, { ...everything, order, limit: 1 })
      return entries[0]
    }),
  )
  if (start === undefined || end === undefined) return el('metadata', mamNs)
  return el('metadata', mamNs, {}, toPlace('start', start), toPlace('end', end))
}

function toPlace(name: string, { message: { id, ts } }: LogEntry): Element {
  return el(name, mamNs, { id, timestamp: new Date(ts).toISOString() })
}

/** §6: who asks for other rules is told that these are the ones. */
const prefs = el('prefs', mamNs, { default: 'always' }, el('always', mamNs), el('never', mamNs))

const everything = {
  after: 0,
  before: Number.MAX_SAFE_INTEGER,
  peer: null,
  resource: null,
  seqs: null,
  skip: 0,
  maxBytes: maxPageBytes,
} as const

/** An archive belongs to an account; nobody sees another's. */
function own(handler: IqHandler): IqHandler {
  return (iq, session, target) =>
    target === 'account' ? handler(iq, session, target) : stanzaError('service-unavailable')
}

/** Null: nothing fits. `missing`: an id that was named is not in the log (§4.1.3, XEP-0059 §2.2). */
async function toQuery(
  archive: Archive,
  owner: number,
  filter: ArchiveFilter,
  paging: PageRequest,
): Promise<ArchivePageQuery | null | 'missing'> {
  const bounds = await boundsOf(archive, owner, filter, paging)
  if (bounds === 'missing') return 'missing'
  const peer = filter.peer === null ? null : await archive.lookUp(filter.peer.name)
  if (filter.peer !== null && peer === null) return null
  const limit = filter.ids === null ? Math.min(paging.max ?? maxPage, maxPage) : filter.ids.length
  const isLast = paging.before !== null && paging.after === null
  return {
    ...bounds,
    peer: peer?.id ?? null,
    resource: filter.peer?.resource ?? null,
    order: isLast ? 'newest' : 'oldest',
    skip: paging.index ?? 0,
    limit,
    maxBytes: filter.ids === null ? maxPageBytes : 4 * maxPageBytes,
  }
}

/** Where all that was named by id or by time lies in the log. */
async function boundsOf(archive: Archive, owner: number, filter: ArchiveFilter, paging: PageRequest) {
  const afters = [filter.afterId, paging.after].filter((id) => id !== null)
  const befores = [filter.beforeId, paging.before === '' ? null : paging.before].filter((id) => id !== null)
  const named = [...afters, ...befores, ...(filter.ids ?? [])]
  const seqs = named.length === 0 ? new Map<string, number>() : await archive.seqsOf(owner, named.filter(isUuid))
  if (named.some((id) => !seqs.has(id))) return 'missing'
  const seqOf = (id: string) => seqs.get(id) ?? 0
  // What is shown of an instant ends with its milliseconds: all of the last one belongs to the range.
  const times = [filter.start ?? 0, filter.end === null ? 0 : filter.end + 1]
  const [start = 1, end = 1] = filter.start === null && filter.end === null ? [] : await archive.seqsAt(owner, times)
  return {
    after: Math.max(filter.start === null ? 0 : start - 1, ...afters.map(seqOf)),
    before: Math.min(filter.end === null ? Number.MAX_SAFE_INTEGER : end, ...befores.map(seqOf)),
    seqs: filter.ids === null ? null : filter.ids.map(seqOf),
  }
}

function isUuid(text: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(text)
}

/** The client has seen the newest there is. */
function reachesHead(wanted: ArchivePageQuery | null, hasMore: boolean): boolean {
  if (wanted === null || wanted.limit === 0) return false
  return wanted.order === 'oldest' ? !hasMore : wanted.before === Number.MAX_SAFE_INTEGER
}

type Outcome = Readonly<{ isComplete: boolean; index: number | null; count: number | null }>

/** §4.4: `first` and `last` in the order in which they were sent. */
function toFin(shown: readonly LogEntry[], { isComplete, index, count }: Outcome): Element {
  const set = toPage({
    first: shown[0]?.message.id ?? null,
    last: shown.at(-1)?.message.id ?? null,
    index: shown.length === 0 ? null : index,
    count,
  })
  return el('fin', mamNs, isComplete ? { complete: 'true' } : {}, set)
}
