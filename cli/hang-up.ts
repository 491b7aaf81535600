// SIGHUP: a person asks for something to be read again, or the terminal is gone.
import { closeSync, openSync } from 'node:fs'

/** `reload` never throws; one runs after the other. A process that has lost its terminal ends. */
export function onHangUp(reload: () => Promise<void>): void {
  const { isTTY: hasTerminal = false } = process.stdin
  let turn: Promise<void> = Promise.resolve()
  process.on('SIGHUP', () => {
    if (!hasTerminal || isTerminalHere()) {
      turn = turn.then(reload)
      return
    }
    // As the system has it for who does not listen: with the terminal gone not even a last word could be said.
    process.removeAllListeners('SIGHUP')
    process.kill(process.pid, 'SIGHUP')
  })
}

function isTerminalHere(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
