// The Helm chart, by the real helm: what it gives to a cluster, and which values it refuses.
import { describe, expect, it } from 'vitest'
import { readConfigText } from '../../broker/config-file.ts'
import { settingAt } from '../../broker/config-table.ts'
import { chart, helm, kubeconform, type Manifest, render, renderText, valuesOf } from '../helpers/helm.ts'
import { only, podOf, servicesOf, workloadOf } from '../helpers/pod.ts'

const variants: Readonly<Record<string, readonly string[]>> = {
  'its defaults': [],
  'an external database': valuesOf('external'),
  'the world outside': valuesOf('public'),
  'everything else': valuesOf('guarded'),
}

const configOf = (manifests: readonly Manifest[]) => only(manifests, 'ConfigMap').data['clearbox.yaml'] ?? ''

/** The ports that a clearbox.yaml opens, by their settings. */
function portsIn(config: string): readonly unknown[] {
  const { values, faults } = readConfigText(config, 'clearbox.yaml')
  expect(faults).toEqual([])
  const found = [...values].filter(([path]) => /port$/i.test(path)).map(([, { value }]) => value)
  return found.filter((port) => port !== 'off')
}

describe.each(Object.entries(variants))('with values for %s', (_name, values) => {
  const text = renderText(...values)
  const manifests = render(...values)
  const pod = podOf(manifests)
  const [container] = pod.containers

  it('lints, and is what the schemas of Kubernetes allow', () => {
    expect(helm('lint', '--strict', chart, ...values)).toMatchObject({ code: 0 })
    expect(kubeconform(text)).toEqual({ code: 0, output: '' })
  })

  it('gives the broker a configuration that it accepts', () => {
    expect(readConfigText(configOf(manifests), 'clearbox.yaml').faults).toEqual([])
    expect(container.args).toEqual(['start', '--config', '/etc/clearbox/clearbox.yaml'])
    expect(container.volumeMounts).toContainEqual(
      expect.objectContaining({ name: 'config', mountPath: '/etc/clearbox' }),
    )
  })

  it('opens the ports of the configuration, each with a Service, and no other', () => {
    const ports = container.ports.map((port) => port.containerPort)
    expect(ports.toSorted()).toEqual(portsIn(configOf(manifests)).toSorted())
    const services = servicesOf(manifests)
    expect(services.map(({ spec }) => spec.ports[0].targetPort).sort()).toEqual(
      container.ports.map((port) => port.name).sort(),
    )
    const { labels } = workloadOf(manifests).template.metadata
    for (const { spec } of services) expect(labels).toMatchObject(spec.selector)
  })

  it('sends no client to the pod of `helm test`', () => {
    const { labels } = only(manifests, 'Pod').metadata
    for (const { spec } of servicesOf(manifests)) expect(labels).not.toMatchObject(spec.selector)
  })

  it('probes whether it lives and whether it takes messages', () => {
    const { startupProbe, livenessProbe, readinessProbe } = container
    const paths = [startupProbe, livenessProbe, readinessProbe].map((probe) => probe.httpGet)
    expect(paths).toEqual([
      { path: '/health', port: 'http' },
      { path: '/health', port: 'http' },
      { path: '/ready', port: 'http' },
    ])
    expect(container.ports).toContainEqual({ name: 'http', containerPort: 8080 })
  })

  it('runs every pod as an ordinary user without privileges, tokens and service links', () => {
    for (const spec of [pod, only(manifests, 'Pod').spec as typeof pod]) {
      expect(spec).toMatchObject({ enableServiceLinks: false, automountServiceAccountToken: false })
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(spec.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  it('runs one broker, and leaves it the time that its stop may take', () => {
    expect(workloadOf(manifests).replicas).toBe(1)
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(15 + 60)
  })

  it('mounts every volume, and only what is there', () => {
    const names = pod.volumes.map((volume) => volume.name)
    expect(container.volumeMounts.map((mount) => mount.name).sort()).toEqual(names.sort())
  })
})

describe('the database', () => {
  it('is embedded in a StatefulSet on a volume that stays, so that never two pods write to it', () => {
    const manifests = render()
    expect(manifests.some(({ kind }) => kind === 'Deployment')).toBe(false)
    const claim = only(manifests, 'PersistentVolumeClaim')
    expect(claim.metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' })
    const volume = podOf(manifests).volumes.find(({ name }) => name === 'data')
    expect(volume).toMatchObject({ persistentVolumeClaim: { claimName: claim.metadata.name } })
  })

  it('is external for a Deployment that ends the old broker first', () => {
    const manifests = render(...valuesOf('external'))
    expect(only(manifests, 'Deployment').spec).toMatchObject({ strategy: { type: 'Recreate' } })
    const kinds = manifests.map(({ kind }) => kind)
    for (const kind of ['StatefulSet', 'PersistentVolumeClaim', 'Secret']) expect(kinds).not.toContain(kind)
    expect(podOf(manifests).containers[0].env).toContainEqual({
      name: settingAt('database.url').env,
      valueFrom: { secretKeyRef: { name: 'clearbox-database', key: 'url' } },
    })
  })

  it('may be on a claim that is there already', () => {
    const manifests = render(...valuesOf('guarded'))
    expect(manifests.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim')
    expect(podOf(manifests).volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'chat-data' } })
  })
})

describe('credentials', () => {
  const secrets = {
    'credentials.adminPassword': 'the-password-of-admin',
    'credentials.jwtSecret': 'the-secret-that-signs-access-tokens',
    'database.url': 'postgres://clearbox:the-password@db.example.org/clearbox',
  }
  const given = Object.entries(secrets).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const args = ['--set', 'database.mode=external', ...given]

  it('are in the Secret and nowhere else', () => {
    const manifests = render(...args)
    const data = Object.values(only(manifests, 'Secret').data).map((value) => Buffer.from(value, 'base64').toString())
    expect(data.sort()).toEqual(Object.values(secrets).sort())
    const others = JSON.stringify(manifests.filter(({ kind }) => kind !== 'Secret'))
    for (const secret of Object.values(secrets)) {
      expect(others).not.toContain(secret)
      expect(others).not.toContain(Buffer.from(secret).toString('base64'))
    }
  })

  it('reach the broker by the environment, from keys that the Secret has', () => {
    const manifests = render(...args)
    const refs = podOf(manifests).containers[0].env?.flatMap(({ name, valueFrom }) =>
      valueFrom ? [[name, valueFrom.secretKeyRef.key]] : [],
    )
    expect(refs).toEqual([
      ['CLEARBOX_DATABASE_URL', 'database-url'],
      ['CLEARBOX_ADMIN_PASSWORD', 'admin-password'],
      ['CLEARBOX_JWT_SECRET', 'jwt-secret'],
    ])
    expect(Object.keys(only(manifests, 'Secret').data).sort()).toEqual(refs?.map(([, key]) => key).sort())
  })

  it('are generated where none are given, and outlive the release as the database does', () => {
    const [one, other] = [only(render(), 'Secret'), only(render(), 'Secret')]
    expect(Buffer.from(one.data['admin-password'] ?? '', 'base64').toString()).toMatch(/^[A-Za-z0-9]{24}$/)
    expect(one.data['admin-password']).not.toBe(other.data['admin-password'])
    expect(one.metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' })
  })

  it('restart the broker when they change, as the settings do', () => {
    const of = (...more: string[]) => workloadOf(render(...args, ...more)).template.metadata.annotations
    expect(of()).toEqual(of())
    expect(of('--set', 'database.url=postgres://other/db')).not.toEqual(of())
    expect(of('--set', 'settings.domain=example.org')).not.toEqual(of())
  })
})

describe('the world outside', () => {
  const manifests = render(...valuesOf('public'))

  it('reaches HTTP through the Ingress', () => {
    const backend = { service: { name: 'chat-clearbox-http', port: { name: 'http' } } }
    const rule = { host: 'chat.example.org', http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }
    expect(only(manifests, 'Ingress').spec).toMatchObject({ ingressClassName: 'nginx', rules: [rule] })
    expect(servicesOf(manifests).map(({ metadata }) => metadata.name)).toContain('chat-clearbox-http')
  })

  it('sees the certificate of a Secret, mounted as a folder, so that a renewed one arrives', () => {
    expect(configOf(manifests)).toContain('cert: /tls/tls.crt')
    expect(configOf(manifests)).toContain('key: /tls/tls.key')
    const mount = podOf(manifests).containers[0].volumeMounts.find(({ name }) => name === 'tls')
    expect(mount).toEqual({ name: 'tls', mountPath: '/tls', readOnly: true })
    expect(podOf(manifests).volumes).toContainEqual({
      name: 'tls',
      secret: { secretName: 'chat-example-org-tls', defaultMode: 0o440 },
    })
  })

  it('finds listeners closed that are switched off', () => {
    const names = servicesOf(manifests).map(({ metadata }) => metadata.name)
    expect(names).not.toContain('chat-clearbox-mqtt')
    expect(readConfigText(configOf(manifests), '').values.get('mqtt.port')?.value).toBe('off')
  })
})

it('admits to listeners and metrics whom the policy names', () => {
  const manifests = render(...valuesOf('guarded'))
  const { ingress, podSelector } = only(manifests, 'NetworkPolicy').spec as {
    ingress: { ports: { port: string }[]; from: unknown[] }[]
    podSelector: unknown
  }
  expect(ingress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([
    ['http', 'https', 'mqtt', 'mqtts', 'xmpp', 'xmpps'],
    ['metrics'],
  ])
  expect(podSelector).toEqual(workloadOf(manifests).selector)
})

it('lets Prometheus find the Service of the metrics', () => {
  const manifests = render(...valuesOf('guarded'))
  const { selector, endpoints } = only(manifests, 'ServiceMonitor').spec as {
    selector: { matchLabels: Record<string, string> }
    endpoints: { port: string }[]
  }
  const found = servicesOf(manifests).filter(({ metadata }) =>
    Object.entries(selector.matchLabels).every(([name, value]) => metadata.labels[name] === value),
  )
  expect(found.map(({ spec }) => spec.ports[0].name)).toEqual(endpoints.map(({ port }) => port))
})

describe('values are refused', () => {
  const domain = 'settings.domain=example.org'
  it.each([
    ['a second broker', ['replicaCount=2'], /replicaCount/],
    ['a name that does not exist', ['replcaCount=1'], /replcaCount/],
    ['a setting that does not exist', ['settings.mqtt.anonymus=true'], /anonymus/],
    ['a setting that the chart decides', ['settings.mqtt.port=1884'], /port/],
    ['a secret among the settings', ['settings.admin.password=secret'], /admin/],
    ['a setting of the wrong type', ['settings.quota.perSecond=many'], /perSecond/],
    ['a setting out of its range', ['settings.quota.burst=0'], /burst/],
    ['an unknown log level', ['settings.log.level=loud'], /level/],
    ['no domain', ['settings.domain=null'], /domain/],
    ['an external database without its URL', ['database.mode=external'], /database/],
    ['two URLs', ['database.mode=external', 'database.url=postgres://a/b', 'database.existingSecret=c'], /database/],
    ['the URL of a database that is not used', ['database.url=postgres://a/b'], /url/],
    ['a URL of another database', ['database.mode=external', 'database.url=mysql://a/b'], /url/],
    ['a short signing secret', ['credentials.jwtSecret=short'], /jwtSecret/],
    ['a password beside a Secret', ['credentials.existingSecret=a', 'credentials.adminPassword=b'], /adminPassword/],
    ['a port that is none', ['listeners.mqtt.service.port=70000'], /port/],
    ['a node port of an inner service', ['listeners.mqtt.service.nodePort=31883'], /nodePort/],
    ['HTTP switched off', ['listeners.http.enabled=false'], /http/],
    ['an Ingress without hosts', ['ingress.enabled=true'], /hosts/],
    ['less time than a stop may take', ['terminationGracePeriodSeconds=5'], /terminationGracePeriodSeconds/],
  ])('%s', (_name, values, words) => {
    const { code, output } = helm(
      'template',
      'chat',
      chart,
      ...[domain, ...values].flatMap((value) => ['--set', value]),
    )
    expect(code).not.toBe(0)
    expect(output).toContain("values don't meet the specifications of the schema")
    expect(output).toMatch(words)
  })
})
