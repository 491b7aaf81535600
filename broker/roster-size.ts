// How much a roster holds, in items and in bytes of text. Pure.
import type { RosterItem } from './stores.ts'

/** What an owner lists, and what others ask of it. Bytes are those of UTF-8. */
export type RosterUsage = Readonly<{ listed: number; listedBytes: number; requests: number; requestBytes: number }>

type Sized = Pick<RosterItem, 'address' | 'name' | 'groups'>

/** Names and groups are the owner's; the text of a request is counted apart. */
export function sizeOf({ address, name, groups }: Sized): number {
  return groups.reduce((bytes, group) => bytes + Buffer.byteLength(group), Buffer.byteLength(address + name))
}

export function usageOf(items: Iterable<RosterItem>): RosterUsage {
  const usage = { listed: 0, listedBytes: 0, requests: 0, requestBytes: 0 }
  for (const item of items) {
    if (item.listed) {
      usage.listed++
      usage.listedBytes += sizeOf(item)
    } else usage.requests++
    usage.requestBytes += Buffer.byteLength(item.request ?? '')
  }
  return usage
}
