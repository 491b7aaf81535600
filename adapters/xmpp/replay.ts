// The stretch of its owner's log that a session reads again, and what it takes of it. Pure.

/** What was for `resource` behind `after`, and did not get there. */
export type Legacy = Readonly<{ resource: string; after: number }>

export type Replay = Readonly<{
  /** Read from behind here … */
  after: number
  /** … up to here; what comes then is new. */
  to: number
  seqs: ReadonlySet<number>
  legacies: readonly (Legacy & Readonly<{ to: number }>)[]
}>

/**
 * `seqs` were sent but not acknowledged; `cursor` is how far the session has come. What a replay that was cut short
 * still owes stays owed. Null: there is nothing to read again.
 */
export function createReplay(
  last: Replay | null,
  seqs: readonly number[],
  cursor: number,
  legacy?: Legacy,
): Replay | null {
  const owed = last !== null && cursor < last.to ? last : null
  const again = [...seqs, ...[...(owed?.seqs ?? [])].filter((seq) => seq > cursor)]
  const legacies = (owed?.legacies ?? []).filter(({ to, resource }) => to > cursor && resource !== legacy?.resource)
  const to = owed?.to ?? cursor
  if (legacy !== undefined && legacy.after < to) legacies.push({ ...legacy, to })
  const starts = [...seqs.map((seq) => seq - 1), cursor, ...(legacy ? [legacy.after] : [])]
  return again.length === 0 && legacies.length === 0
    ? null
    : { after: Math.min(...starts), to, seqs: new Set(again), legacies }
}

/** `again`: whatever the rules say now; `legacy`: if they give it to this session; null: it was here before. */
export function whyAgain(
  { seqs, legacies }: Replay,
  seq: number,
  toResource: string | null,
): 'again' | 'legacy' | null {
  if (seqs.has(seq)) return 'again'
  const isLegacy = legacies.some((one) => one.resource === toResource && seq > one.after && seq <= one.to)
  return isLegacy ? 'legacy' : null
}
