// The part of tr46 that we call; the package brings no types.
declare module 'tr46' {
  type Options = Readonly<{
    checkBidi?: boolean
    checkHyphens?: boolean
    checkJoiners?: boolean
    ignoreInvalidPunycode?: boolean
    transitionalProcessing?: boolean
    useSTD3ASCIIRules?: boolean
  }>
  /** Null: not a domain name by these options. */
  export function toASCII(domain: string, options?: Options & Readonly<{ verifyDNSLength?: boolean }>): string | null
  export function toUnicode(domain: string, options?: Options): { domain: string; error: boolean }
}
