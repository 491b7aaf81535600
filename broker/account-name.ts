// RFC 7622: XMPP Address Format  https://www.rfc-editor.org/rfc/rfc7622
// The canonical spelling of an account's name (PRECIS, RFC 8264 and RFC 8265), for every border.
import { isIP, isIPv6 } from 'node:net'
import { toASCII, toUnicode } from 'tr46'

const maxPartBytes = 1023
const plainLocalpart = /^[!#$%()*+,.0-9;=?A-Z[\\\]^_`a-z{|}~-]+$/
const plainResource = /^[\x21-\x7e]+$/

/**
 * Canonical localpart of `local` or `local@domain` in any spelling; null when it is invalid or of another domain than
 * `domain`, the one that this server serves.
 */
export function toAccountName(input: string, domain: string): string | null {
  const at = input.indexOf('@')
  if (at < 0) return toLocalpart(input)
  const named = input.slice(at + 1)
  if (named !== domain && toDomain(named) !== (toDomain(domain) ?? domain)) return null
  return toLocalpart(input.slice(0, at))
}

/** RFC 7622 §3.3: UsernameCaseMapped without the characters that addresses give a meaning. */
export function toLocalpart(input: string): string | null {
  if (plainLocalpart.test(input)) return input.length <= maxPartBytes ? input.toLowerCase() : null
  return untilStable(input, enforceUsername)
}

/** RFC 7622 §3.4: OpaqueString. */
export function toResource(input: string): string | null {
  if (plainResource.test(input)) return input.length <= maxPartBytes ? input : null
  return untilStable(input, enforceOpaque)
}

const maxCachedDomains = 1000
const domains = new Map<string, string | null>()

/** RFC 7622 §3.2: the domain in U-labels and lower case, an IPv4 address, or an IPv6 address in brackets. */
export function toDomain(input: string): string | null {
  const known = domains.get(input)
  if (known !== undefined) return known
  const made = prepareDomain(input)
  if (domains.size >= maxCachedDomains) domains.clear()
  if (input.length <= maxPartBytes) domains.set(input, made)
  return made
}

const strict = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  useSTD3ASCIIRules: true,
  transitionalProcessing: false,
  ignoreInvalidPunycode: false,
} as const

function prepareDomain(input: string): string | null {
  if (input.length > maxPartBytes) return null
  if (input.startsWith('[') && input.endsWith(']')) return isIPv6(input.slice(1, -1)) ? input.toLowerCase() : null
  if (isIP(input) === 4) return input
  // A map to nothing hides what was written: two spellings that look alike, and one of them does not say so.
  if (/\p{Default_Ignorable_Code_Point}/u.test(input.replace(/[\u200c\u200d]/g, ''))) return null
  const bare = input.replace(/[.\u3002\uff0e\uff61]$/, '')
  const ascii = toASCII(bare, { ...strict, verifyDNSLength: true })
  if (ascii === null || isIP(ascii) !== 0) return null
  const { domain, error } = toUnicode(bare, strict)
  return error ? null : domain
}

/** RFC 8264 §7: a profile may need more than one pass; a string that never settles is refused. */
function untilStable(input: string, enforce: (text: string) => string | null): string | null {
  if (input.length > maxPartBytes) return null
  let before = input
  for (let pass = 0; pass < 4; pass++) {
    const after = enforce(before)
    if (after === null || after === before) return after
    before = after
  }
  return null
}

const wide = /[\u3000\uff01-\uffe6]/g
/** RFC 7622 §3.3.1, and the space. */
const forbiddenInLocalpart = /["&'/:<>@ ]/

function enforceUsername(text: string): string | null {
  const narrow = text.replace(wide, (char) => char.normalize('NFKC'))
  const made = narrow.toLowerCase().normalize('NFC')
  if (forbiddenInLocalpart.test(made) || !fits(made)) return null
  return isOfClass(made, 'identifier') && isDirected(made) ? made : null
}

function enforceOpaque(text: string): string | null {
  const made = text.replace(/\p{Zs}/gu, ' ').normalize('NFC')
  return fits(made) && isOfClass(made, 'freeform') ? made : null
}

function fits(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= maxPartBytes
}

// RFC 8264 §9.6
const exceptionsValid = /[\u00df\u03c2\u06fd\u06fe\u0f0b\u3007]/
const exceptionsRefused = /[\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b]/
const oldHangulJamo = /[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7c6\ud7cb-\ud7fb]/
const contextual = /[\u00b7\u0375\u05f3\u05f4\u30fb\u0660-\u0669\u06f0-\u06f9\u200c\u200d]/
const never = /[\p{Cc}\p{Cn}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u
const letterDigits = /[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u
const freeform = /[\p{Lt}\p{Nl}\p{No}\p{Me}\p{Zs}\p{S}\p{P}]/u

/** RFC 8264 §8, in its order. */
function isOfClass(text: string, wanted: 'identifier' | 'freeform'): boolean {
  let at = 0
  for (const char of text) {
    if (!isCharOfClass(char, wanted) && !(contextual.test(char) && isInContext(text, at))) return false
    at += char.length
  }
  return true
}

function isCharOfClass(char: string, wanted: 'identifier' | 'freeform'): boolean {
  if (contextual.test(char) || exceptionsRefused.test(char)) return false
  if (exceptionsValid.test(char)) return true
  if (char >= '!' && char <= '~') return true
  if (oldHangulJamo.test(char) || never.test(char)) return false
  if (char.normalize('NFKC') !== char) return wanted === 'freeform'
  return letterDigits.test(char) || (wanted === 'freeform' && freeform.test(char))
}

/** Canonical combining class 9, which `\p{…}` cannot ask for. */
const virama =
  /[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u0e3a\u0eba\u0f84\u1039\u103a\u1714\u1715\u1734\u17d2\u1a60\u1b44\u1baa\u1bab\u1bf2\u1bf3\u2d7f\ua806\ua82c\ua8c4\ua953\ua9c0\uaaf6\uabed\u{10a3f}\u{11046}\u{11070}\u{1107f}\u{110b9}\u{11133}\u{11134}\u{111c0}\u{11235}\u{112ea}\u{1134d}\u{113ce}-\u{113d0}\u{11442}\u{114c2}\u{115bf}\u{1163f}\u{116b6}\u{1172b}\u{11839}\u{1193d}\u{1193e}\u{119e0}\u{11a34}\u{11a47}\u{11a99}\u{11c3f}\u{11d44}\u{11d45}\u{11d97}\u{11f41}\u{11f42}\u{1612f}]$/u
/** Arabic letters that join to the left; other joining scripts than Arabic may use U+200C after a virama only. */
const joinsLeft =
  /[\u0620\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1\u06fa-\u06fc\u06ff][\p{Mn}\p{Me}]*$/u
const joinsRight =
  /^[\p{Mn}\p{Me}]*[\u0620\u0622-\u063f\u0641-\u064a\u066e\u066f\u0671-\u0673\u0675-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06fc\u06ff]/u

/** RFC 5892 appendix A. */
function isInContext(text: string, at: number): boolean {
  const char = text.charAt(at)
  const before = text.slice(0, at)
  const after = text.slice(at + 1)
  if (char === '\u200c') return virama.test(before) || (joinsLeft.test(before) && joinsRight.test(after))
  if (char === '\u200d') return virama.test(before)
  if (char === '\u00b7') return before.endsWith('l') && after.startsWith('l')
  if (char === '\u0375') return /^\p{Script=Greek}/u.test(after)
  if (char === '\u05f3' || char === '\u05f4') return /\p{Script=Hebrew}$/u.test(before)
  if (char === '\u30fb') return /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u.test(text)
  return char <= '\u0669' ? !/[\u06f0-\u06f9]/.test(text) : !/[\u0660-\u0669]/.test(text)
}

// Bidi classes by block: within the identifier class these are right for every letter, digit and mark.
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u
const europeanDigit = /[0-9\u06f0-\u06f9]/
const arabicDigit = /[\u0660-\u0669\u{10d30}-\u{10d39}]/u

/** RFC 5893 §2: a string with right-to-left characters is right-to-left from end to end. */
function isDirected(text: string): boolean {
  if (!rightToLeft.test(text)) return true
  const isLetter = (char: string | undefined) =>
    char !== undefined && rightToLeft.test(char) && !/[\p{Mn}\p{Me}]/u.test(char) && !isDigit(char)
  const isDigit = (char: string) => europeanDigit.test(char) || arabicDigit.test(char)
  const chars = Array.from(text)
  if (!isLetter(chars[0])) return false
  if (europeanDigit.test(text) && arabicDigit.test(text)) return false
  for (const char of chars) {
    if (!rightToLeft.test(char) && /[\p{L}\p{Mc}\p{Nd}]/u.test(char) && !europeanDigit.test(char)) return false
  }
  const last = chars.findLast((char) => !/\p{Mn}/u.test(char))
  return last !== undefined && (isLetter(last) || isDigit(last))
}
