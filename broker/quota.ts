// Chat quota per account: a token bucket. A stream over it is read no faster; HTTP answers 429 (DESIGN §2).

export type QuotaOptions = Readonly<{ perSecond: number; burst: number }>

export type Quota = Readonly<{
  /** Milliseconds until the account may send its next message; 0: now. */
  delayMs(account: number): number
  take(account: number): void
  /** Forgets full buckets; now and then. */
  sweep(): void
}>

type Bucket = { tokens: number; at: number }

export function createQuota({ perSecond, burst }: QuotaOptions): Quota {
  const buckets = new Map<number, Bucket>()

  function filled(account: number): Bucket {
    const now = performance.now()
    const bucket = buckets.get(account) ?? { tokens: burst, at: now }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000)
    bucket.at = now
    return bucket
  }

  return {
    delayMs(account) {
      if (!buckets.has(account)) return 0
      const { tokens } = filled(account)
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / perSecond)
    },
    take(account) {
      const bucket = filled(account)
      bucket.tokens -= 1
      buckets.set(account, bucket)
    },
    sweep() {
      for (const account of buckets.keys()) if (filled(account).tokens >= burst) buckets.delete(account)
    },
  }
}
