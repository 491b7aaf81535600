// RFC 6121 Appendix A, cell by cell: state, whether the stanza passes on (`+`) or not (`-`), new state.
// §A.2.1 to §A.2.4
export const outboundCells = {
  subscribe: `
    none + none+out | none+out + none+out | none+in + none+out+in | none+out+in + none+out+in | to + to
    to+in + to+in | from + from+out | from+out + from+out | both + both`,
  unsubscribe: `
    none + none | none+out + none | none+in + none+in | none+out+in + none+in | to + none
    to+in + none+in | from + from | from+out + from | both + from`,
  subscribed: `
    none - none | none+out - none+out | none+in + from | none+out+in + from+out | to - to
    to+in + both | from - from | from+out - from+out | both - both`,
  unsubscribed: `
    none - none | none+out - none+out | none+in + none | none+out+in + none+out | to - to
    to+in + to | from + none | from+out + none+out | both + to`,
} as const

// §A.3.1 to §A.3.4
export const inboundCells = {
  subscribe: `
    none + none+in | none+out + none+out+in | none+in - none+in | none+out+in - none+out+in | to + to+in
    to+in - to+in | from - from | from+out - from+out | both - both`,
  unsubscribe: `
    none - none | none+out - none+out | none+in + none | none+out+in + none+out | to - to
    to+in + to | from + none | from+out + none+out | both + to`,
  subscribed: `
    none - none | none+out + to | none+in - none+in | none+out+in + to+in | to - to
    to+in - to+in | from - from | from+out + both | both - both`,
  unsubscribed: `
    none - none | none+out + none | none+in - none+in | none+out+in + none+in | to + none
    to+in + none+in | from - from | from+out + from | both + from`,
} as const
