// The part of @xmpp/client that tests use; the package has no types.
declare module '@xmpp/client' {
  export type XmlElement = Readonly<{
    name: string
    attrs: Readonly<Record<string, string | undefined>>
    getChild(name: string, xmlns?: string): XmlElement | undefined
    getChildText(name: string, xmlns?: string): string | null
  }>

  export type Client = Readonly<{
    start(): Promise<unknown>
    stop(): Promise<unknown>
    send(element: XmlElement): Promise<void>
    on(event: 'stanza', listener: (stanza: XmlElement) => void): void
    on(event: 'error', listener: (error: Error) => void): void
    /** A resource is bound; a resumption is none. */
    on(event: 'online', listener: () => void): void
    once(event: 'disconnect', listener: () => void): void
    iqCaller: Readonly<{ request(iq: XmlElement, timeoutMs?: number): Promise<XmlElement> }>
    reconnect: Readonly<{ stop(): void; reconnect(): Promise<void> }>
    /** Of `net`, or one with a `socket` of `tls` or a WebSocket below. */
    socket: Readonly<{ socket?: unknown }>
  }>

  export function client(options: {
    service: string
    domain: string
    username: string
    password: string
    /** Chooses the mechanism; default: the strongest, with the user name and the password. */
    credentials?: (
      authenticate: (secrets: Readonly<{ username: string; password: string }>, mechanism: string) => Promise<void>,
    ) => Promise<void>
    resource?: string
    /** Milliseconds for each step of the stream's start. */
    timeout?: number
  }): Client

  export function xml(
    name: string,
    attributes?: Readonly<Record<string, string>>,
    ...children: readonly (XmlElement | string)[]
  ): XmlElement
}
