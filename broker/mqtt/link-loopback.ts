// Two ends of one connection in memory. What one end does not read makes the other wait.
import { Duplex } from 'node:stream'

class End extends Duplex {
  peer: End | null = null
  private goOn: (() => void) | null = null

  override _read(): void {
    const { goOn } = this
    this.goOn = null
    goOn?.()
  }

  /** @param done is called when there is room again */
  private accept(chunk: Buffer | null, done: () => void): void {
    if (this.destroyed || this.push(chunk) || chunk === null) done()
    else this.goOn = done
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.peer === null) done()
    else this.peer.accept(chunk, done)
  }

  override _final(done: () => void): void {
    if (this.peer === null) done()
    else this.peer.accept(null, done)
  }

  override _destroy(fault: Error | null, done: (fault: Error | null) => void): void {
    const { peer } = this
    this.peer = null
    this._read()
    if (peer !== null) setImmediate(() => peer.destroy())
    done(fault)
  }
}

export function createLoopback(): readonly [Duplex, Duplex] {
  const [one, other] = [new End(), new End()]
  one.peer = other
  other.peer = one
  return [one, other]
}
