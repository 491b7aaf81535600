// How far a stream without XEP-0198 has surely come in its owner's log (DESIGN §5): a message counts once it was written
// and the stream then lived for 30 s, or once the client said anything later than the write had left.

const livedMs = 30_000
/** Marks closer together than this share one, so that their number stays small whatever is sent. */
const coalesceMs = 1000

type Mark = { seq: number; written: number; at: number }

export interface Position {
  /** `written`: the output's count right behind the message. */
  wrote(seq: number, written: number): void
  /** The client said something while the output had drained this far. */
  heard(drained: number): void
  /** For the sweep: `now` of the monotonic clock. */
  lived(now: number, drained: number): void
}

export function createPosition(acknowledge: (seq: number) => void): Position {
  const marks: Mark[] = []

  function settle(isDone: (mark: Mark) => boolean): void {
    const at = marks.findLastIndex(isDone)
    const mark = marks[at]
    if (mark === undefined) return
    marks.splice(0, at + 1)
    acknowledge(mark.seq)
  }

  return {
    wrote(seq, written) {
      const now = performance.now()
      const last = marks.at(-1)
      if (last === undefined || now - last.at > coalesceMs) marks.push({ seq, written, at: now })
      else Object.assign(last, { seq: Math.max(seq, last.seq), written })
    },
    heard(drained) {
      if (marks.length > 0) settle((mark) => mark.written <= drained)
    },
    lived(now, drained) {
      if (marks.length > 0) settle((mark) => mark.written <= drained && now - mark.at >= livedMs)
    },
  }
}
