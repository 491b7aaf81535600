// Further listeners, as the configuration says them. Types only.

/** On a port, or at a path. */
export type ListenerConfig = Readonly<{
  name: string
  protocol: 'mqtt'
  /** IP addresses; default: those of all listeners. */
  bind?: readonly string[]
  /** 0 lets the system choose. */
  port?: number
  /** Of a Unix socket. */
  path?: string
  /** Of its file, three octal digits; default 660. */
  mode?: string
  /** PEM files; without them the certificate of all listeners. */
  tls?: Readonly<{ cert?: string; key?: string }>
  /** Addresses and networks (CIDR) of proxies, which begin every connection with a PROXY header. */
  proxyProtocol?: Readonly<{ from: readonly string[] }>
  /** Default: `mqtt.anonymous`. */
  anonymous?: boolean
  /** Per address; never more than `limits.connections`. */
  maxConnections?: number
}>
