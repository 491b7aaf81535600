// Which faults of the database pass.
import { DatabaseError } from 'pg'
import { describe, expect, it } from 'vitest'
import { TransientStoreError } from '../../broker/stores.ts'
import { sqlState, toStoreError } from '../../storage/postgres.ts'

function fromDatabase(code: string): DatabaseError {
  const error = new DatabaseError('said by the database', 0, 'error')
  error.code = code
  return error
}

describe('faults of the database', () => {
  it.each(['08006', '53100', '53300', '57014', '57P01', '57P03', '40001', '40P01', '25006', '55P03', '58030'])(
    'passes: %s',
    (code) => expect(toStoreError(fromDatabase(code))).toBeInstanceOf(TransientStoreError),
  )

  it.each(['22021', '22P05', '23505', '23502', '42P01', '54000', 'XX001'])('stays: %s', (code) => {
    const error = fromDatabase(code)
    expect(toStoreError(error)).toBe(error)
    expect(sqlState(error)).toBe(code)
  })

  it('takes a connection that breaks for passing, and keeps the cause', () => {
    const broken = new Error('Connection terminated unexpectedly')
    const error = toStoreError(broken)
    expect(error).toBeInstanceOf(TransientStoreError)
    expect(error.cause).toBe(broken)
    expect(toStoreError(error)).toBe(error)
    expect(toStoreError('odd')).toBeInstanceOf(TransientStoreError)
  })

  it('takes a fault of our own code for what it is', () => {
    const fault = new TypeError('x is not a function')
    expect(toStoreError(fault)).toBe(fault)
    expect(sqlState(fault)).toBeNull()
  })
})
