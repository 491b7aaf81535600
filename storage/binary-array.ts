// Hot path (bench: offline): arrays as parameters in PostgreSQL's binary format, which costs a fraction of the text that `pg`
// makes of a JavaScript array, here and in the server. `pg` sends a Buffer as a binary parameter.

const headerBytes = 20
const noLength = -1

/** Written over the OIDs of pg_type. */
const elementTypes = { boolean: 16, bytea: 17, bigint: 20, smallint: 21, integer: 23, text: 25, uuid: 2950 } as const

type ElementType = keyof typeof elementTypes

/** One dimension, counted from 1; without elements it has none. */
function startArray(type: ElementType, values: readonly unknown[], elementsBytes: number): Buffer {
  const array = Buffer.allocUnsafe(values.length === 0 ? 12 : headerBytes + 4 * values.length + elementsBytes)
  array.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  array.writeInt32BE(values.includes(null) ? 1 : 0, 4)
  array.writeInt32BE(elementTypes[type], 8)
  if (values.length === 0) return array
  array.writeInt32BE(values.length, 12)
  array.writeInt32BE(1, 16)
  return array
}

/** Safe integers. */
export function bigintArray(values: readonly (number | null)[]): Buffer {
  const nulls = values.reduce<number>((sum, value) => (value === null ? sum + 1 : sum), 0)
  const array = startArray('bigint', values, 8 * (values.length - nulls))
  let at = headerBytes
  for (const value of values) {
    if (value === null) at = array.writeInt32BE(noLength, at)
    else {
      at = array.writeInt32BE(8, at)
      at = array.writeInt32BE(Math.floor(value / 2 ** 32), at)
      at = array.writeUInt32BE(value >>> 0, at)
    }
  }
  return array
}

export function integerArray(values: readonly number[]): Buffer {
  const array = startArray('integer', values, 4 * values.length)
  let at = headerBytes
  for (const value of values) at = array.writeInt32BE(value, array.writeInt32BE(4, at))
  return array
}

export function smallintArray(values: readonly number[]): Buffer {
  const array = startArray('smallint', values, 2 * values.length)
  let at = headerBytes
  for (const value of values) at = array.writeInt16BE(value, array.writeInt32BE(2, at))
  return array
}

export function booleanArray(values: readonly boolean[]): Buffer {
  const array = startArray('boolean', values, values.length)
  let at = headerBytes
  for (const value of values) at = array.writeUInt8(value ? 1 : 0, array.writeInt32BE(1, at))
  return array
}

export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  const bytes = values.reduce((sum, value) => sum + (value?.length ?? 0), 0)
  const array = startArray('bytea', values, bytes)
  let at = headerBytes
  for (const value of values) {
    at = array.writeInt32BE(value === null ? noLength : value.length, at)
    if (value !== null) at += value.copy(array, at)
  }
  return array
}

/** The server refuses a NUL. */
export function textArray(values: readonly (string | null)[]): Buffer {
  const bytes = values.reduce((sum, value) => sum + (value === null ? 0 : Buffer.byteLength(value)), 0)
  const array = startArray('text', values, bytes)
  let at = headerBytes
  for (const value of values) {
    const length = value === null ? noLength : array.write(value, at + 4)
    at = array.writeInt32BE(length, at)
    if (length > 0) at += length
  }
  return array
}

export function uuidArray(values: readonly string[]): Buffer {
  const array = startArray('uuid', values, 16 * values.length)
  let at = headerBytes
  for (const value of values) {
    at = array.writeInt32BE(16, at)
    at += array.write(value.replaceAll('-', ''), at, 'hex')
  }
  return array
}
