/** RFC 6120 §6.5: why a login failed, in SASL's words. */
export type SaslCondition =
  | 'aborted'
  | 'incorrect-encoding'
  | 'invalid-authzid'
  | 'invalid-mechanism'
  | 'malformed-request'
  | 'not-authorized'
  | 'temporary-auth-failure'

export class SaslFault extends Error {
  readonly condition: SaslCondition

  constructor(condition: SaslCondition) {
    super(condition)
    this.name = 'SaslFault'
    this.condition = condition
  }
}
