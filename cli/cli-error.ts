/** Ends a command; the message is all that a person needs to see. */
export class CliError extends Error {
  /** 1: it did not work; 2: it was not called as it must be. */
  readonly exitCode: 1 | 2

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
