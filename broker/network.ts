// From where a peer comes, for limits: one household or machine counts once. Pure.
import { isIPv6 } from 'node:net'

/** An IPv4 address as it is; an IPv6 address by its /64, because whoever has one has all of them. */
export function networkOf(address: string): string {
  const bare = address.split('%', 1)[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(bare)) return bare
  const [left = '', right] = bare.toLowerCase().split('::')
  const groups = left === '' ? [] : left.split(':')
  if (right !== undefined) {
    const behind = right === '' ? 0 : right.split(':').length
    while (groups.length + behind < 8) groups.push('0')
    if (right !== '') groups.push(...right.split(':'))
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
