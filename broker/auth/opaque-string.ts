// RFC 8265 §4.2: OpaqueString, the profile for passwords  https://www.rfc-editor.org/rfc/rfc8265#section-4.2

const maxPasswordBytes = 1024

// RFC 8264 §4.3.3: what the FreeformClass disallows.
const disallowed = /[\p{Cc}\p{Cs}\p{Cn}\p{Co}\p{Default_Ignorable_Code_Point}\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB]/u

/** The password as it is hashed and compared; null: empty, longer than 1024 bytes, or with characters that none may have. */
export function preparePassword(password: string): string | null {
  if (Buffer.byteLength(password) > maxPasswordBytes) return null
  const prepared = password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
  return prepared === '' || disallowed.test(prepared) ? null : prepared
}
